"""What every vector rests on: the same text is the same vector, whoever loads the model and whatever is beside it."""

import numpy as np
import pytest

from adapters.embedder import E5Embedder
from tests.offline import EMBEDDER

TEXTS = ["Our dog Bramble could open the pantry door.", "那只橘猫叫阿福。", ""]


@pytest.mark.parametrize("is_query", [True, False])
def test_a_text_has_one_vector(is_query: bool) -> None:
    together = E5Embedder().embed(TEXTS, is_query=is_query)
    assert together == E5Embedder().embed(TEXTS, is_query=is_query)
    alone = [EMBEDDER.embed([text], is_query=is_query)[0] for text in TEXTS]
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1)


def test_a_question_and_a_text_of_the_same_words_are_two() -> None:
    [asked], [told] = (EMBEDDER.embed(TEXTS[:1], is_query=is_query) for is_query in (True, False))
    assert asked != told
