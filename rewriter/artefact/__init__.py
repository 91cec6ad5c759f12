"""The folder that `learn` writes and `Rewriter` opens.

DIR/
├── CURRENT                   one line: the id of the version that serves
├── versions/<id>/            what ships
│   ├── manifest.json         what is inside, size and SHA-256 of every other file
│   └── rules/ …
└── state/                    private: what the next `learn` needs, never read in serving
    ├── lock, user.key
    ├── held.json             names a version that waits for `publish`, and says why
    └── <id>/                 the state that belongs to this version

Reading is in `versions`, writing in `writer`, going to and fro in `switch`. Versions and states are written once and
never changed.
"""
