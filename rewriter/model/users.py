"""User ids are stored only as keyed hashes."""

import hashlib


def hash_user(user_id: str, key: bytes) -> str:
    """Return the keyed BLAKE2b of a user id, 32 hex digits.

    Args:
        user_id: pseudonym as the log gives it.
        key: secret of one artefact folder, 16 to 64 bytes.

    Example:
        >>> hash_user("ann", b"0123456789abcdef") == hash_user("ann", b"fedcba9876543210")
        False
    """
    return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), key=key, digest_size=16).hexdigest()
