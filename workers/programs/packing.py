"""One row for a batch: what all its samples begin with (who the elder is) is computed once.

Behind that trunk each sample is a branch that sees the trunk and itself, at the positions it would have alone: loss and
gradient are those of the padded batch. A question with nothing shown is half trunk.
"""

from dataclasses import dataclass

import torch

from workers.programs.crew import Batch

NOT_LEARNT = -100  #: as a label; torch's and transformers' own
_WIDTHS = (
    3  #: of the trunk, at most, is a batch that is packed: each branch is computed against all others' tokens, too
)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """`inputs`: what the decoder takes; `wanted`: the next token of each place, all rows in one, or -100."""

    inputs: Batch
    wanted: torch.Tensor


def pack(batch: Batch, *, width: int, dtype: torch.dtype, window: int | None) -> Rows:
    """`batch`: input_ids, attention_mask, labels, padded on the right. Filled up to a multiple of `width` tokens; as it
    is where hardly anything is shared, or it does not fit the attention's `window`. `dtype`: the model's."""
    ids, seen = batch["input_ids"], batch["attention_mask"].bool()
    wanted = torch.nn.functional.pad(batch["labels"], (0, 1), value=NOT_LEARNT)[:, 1:]
    is_shared = (ids == ids[0]).all(0) & (wanted == NOT_LEARNT).all(0) & seen.all(0)
    trunk = int(is_shared.long().cumprod(0).sum())
    rows, widest = ids.shape
    if rows == 1 or widest > min(_WIDTHS * trunk, window or widest):
        return Rows(inputs={"input_ids": ids, "attention_mask": batch["attention_mask"]}, wanted=wanted.flatten())
    seen[1:, :trunk] = False
    samples, places = seen.nonzero(as_tuple=True)
    branches = torch.where(places < trunk, 0, samples + 1)
    filled = (0, -len(samples) % width)
    return Rows(
        inputs={
            "input_ids": torch.nn.functional.pad(ids[samples, places], filled)[None],
            "position_ids": torch.nn.functional.pad(places, filled)[None],
            "attention_mask": _mask(torch.nn.functional.pad(branches, filled, value=-1), dtype),
        },
        wanted=torch.nn.functional.pad(wanted[samples, places], filled, value=NOT_LEARNT),
    )


def _mask(branches: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(1, 1, tokens, tokens), added to the scores: of what is earlier, the trunk (0) and one's own."""
    order = torch.arange(len(branches), device=branches.device)
    sees = (order[:, None] >= order) & ((branches == 0) | (branches[:, None] == branches))
    return torch.zeros_like(sees, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)[None, None]
