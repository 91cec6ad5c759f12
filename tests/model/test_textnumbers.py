"""Numbers by text: what is read back is what a plain dictionary says."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.model.risk import TextNumbers

TEXTS = st.text(max_size=4) | st.sampled_from(["lamp", "lamp off", "\ud800"])


@settings(deadline=None)
@given(numbers=st.dictionaries(TEXTS, st.floats(allow_nan=False)), others=st.lists(TEXTS))
def test_it_is_a_dictionary(tmp_path_factory, numbers, others):
    folder = tmp_path_factory.mktemp("numbers")
    TextNumbers.of(numbers).save(folder, "odds")
    again = TextNumbers.open(folder, "odds")
    assert len(again) == len(numbers)
    for text in [*numbers, *others]:
        assert again.get(text, 0.25) == numbers.get(text, 0.25)
