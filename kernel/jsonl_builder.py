"""The JSONL builder: an elder's memories as the standard chat form, one conversation a line.

    {"messages": [{"role": "system", ...}, {"role": "user", ...}, {"role": "assistant", ...}], "memory_id": ...}

What it writes, POST /elders/{elder_id}/answers/bulk reads back.
"""

import json
from collections.abc import Iterator, Mapping

from kernel.ids import ElderId, TenantId
from kernel.memory import collect_memories
from kernel.ports import Elders
from kernel.prompt import Prompts
from kernel.system_prompt import SystemPromptGenerator


class JSONLBuilder:
    def __init__(self, elders: Elders, prompts: Mapping[str, Prompts]) -> None:
        self._elders = elders
        self._system = SystemPromptGenerator(prompts)

    def build_jsonl(self, tenant: TenantId, elder_id: ElderId) -> Iterator[str]:
        """Lines, each ending in a newline. Raises ElderNotFound before the first."""
        elder = self._elders.get(tenant, elder_id)
        memories = collect_memories(
            self._elders.answers(tenant, elder_id), elder_name=elder.name, language=elder.language
        )
        system = self._system.generate(elder.name, memories.items)
        for memory in memories.items:
            messages = [
                {"role": "system", "content": system},
                {"role": "user", "content": memory.question},
                {"role": "assistant", "content": memory.answer},
            ]
            yield json.dumps({"messages": messages, "memory_id": memory.id}, ensure_ascii=False) + "\n"
