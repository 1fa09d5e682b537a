"""A finding: what the doctor says of one part."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    part: str
    found: str
    is_ok: bool = True
    is_needed: bool = True  #: False: worth knowing, but everything works without it

    @property
    def is_bad(self) -> bool:
        return self.is_needed and not self.is_ok
