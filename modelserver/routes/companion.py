"""The companion: a WebSocket for one conversation, and a page to hold it on. docs/companion.md says what is sent."""

import secrets
from pathlib import Path

import anyio
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from kernel.elder import Elder
from kernel.errors import BadInput, HeirloomError, Unauthorized
from kernel.ids import TenantId, elder_id
from modelserver.auth import key_sha256
from modelserver.companion_frames import AudioBegin, AudioEnd, Hello, Say, Stop, Voice, Wire
from modelserver.companion_parts import CompanionParts
from modelserver.companion_talk import Talk
from modelserver.services import Services
from modelserver.thread import Thread, open_thread

router = APIRouter(tags=["companion"])
log = structlog.get_logger(__name__)

_HELLO_SECONDS = 10.0
_PAGE = Path(__file__).parent.parent / "pages" / "companion.html"
_POLICY = (
    "default-src 'self'; img-src data:; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)


@router.get("/companion", include_in_schema=False)
def page() -> FileResponse:
    return FileResponse(_PAGE, headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})


@router.websocket("/ws/companion/{elder}")
async def companion(socket: WebSocket, elder: str) -> None:
    """The key comes in a header or in the first frame, never in the address. 4400-4499 are the errors' HTTP codes."""
    services: Services = socket.app.state.services
    parts: CompanionParts = socket.app.state.companion
    await socket.accept()
    wire = Wire(socket, max_bytes=parts.settings.max_message_bytes)
    try:
        hello = await _hello(wire)
        wire.language = hello.reads or hello.language or wire.language
        key = _key_of(socket) or hello.key
        tenant, known, thread = await run_in_threadpool(_admitted, services, key, elder, hello)
        with parts.connected(tenant):
            await _talk(services, parts, tenant, known, hello, thread, wire)
    except WebSocketDisconnect:
        return
    except HeirloomError as error:
        await _refuse(wire, error)


async def _talk(
    services: Services,
    parts: CompanionParts,
    tenant: TenantId,
    elder: Elder,
    hello: Hello,
    thread: Thread | None,
    wire: Wire,
) -> None:
    wire.language = hello.reads or hello.language or elder.language
    async with anyio.create_task_group() as group:
        conversation = Talk(
            services,
            parts,
            tenant=tenant,
            elder=elder,
            id=secrets.token_hex(8),
            hello=hello,
            thread=thread,
            wire=wire,
            group=group,
        )
        try:
            await _ready(wire, parts, elder, conversation)
            await _listen(wire, conversation)
        except WebSocketDisconnect:
            pass  # while something was being sent to it
        finally:
            conversation.end_sound()
            group.cancel_scope.cancel()


async def _listen(wire: Wire, conversation: Talk) -> None:
    async for frame in wire.frames():
        try:
            match frame:
                case bytes():
                    await conversation.hear(frame)
                case Voice():
                    conversation.has_voice = frame.on
                case Say():
                    await conversation.say(frame.text)
                case AudioBegin():
                    await conversation.begin_sound()
                case AudioEnd():
                    conversation.end_sound()
                case Stop():
                    await conversation.stop()
                case Hello():
                    raise BadInput(reason="hello is the first frame, and comes once")
        except HeirloomError as error:
            await wire.complain(error)


async def _hello(wire: Wire) -> Hello:
    """Raises Unauthorized when another frame comes first, or none within the time."""
    with anyio.move_on_after(_HELLO_SECONDS):
        async for frame in wire.frames():
            if isinstance(frame, Hello):
                return frame
            raise Unauthorized
        raise WebSocketDisconnect(1006)
    raise Unauthorized


async def _ready(wire: Wire, parts: CompanionParts, elder: Elder, conversation: Talk) -> None:
    await wire.send(
        "ready",
        elder_id=elder.id,
        name=elder.name,
        language=conversation.language,
        profile=conversation.profile,
        engine=parts.companion.name if parts.companion else "off",
        emotions=parts.settings.emotion_names(conversation.language),
        hears=sorted(parts.listener.languages),
        speaks=sorted(parts.speaker.languages),
        conversation_id=conversation.conversation or None,
        generated_by="ai",
    )


async def _refuse(wire: Wire, error: HeirloomError) -> None:
    try:
        await wire.complain(error)
    except WebSocketDisconnect:
        return
    await wire.close(4000 + error.status)


def _admitted(services: Services, key: str, elder: str, hello: Hello) -> tuple[TenantId, Elder, Thread | None]:
    """Raises Unauthorized, BadId, ElderNotFound, ConversationNotFound, ConversationFull."""
    tenant = services.families.tenant_of_key(key_sha256(key)) if key else None
    if tenant is None:
        raise Unauthorized
    known = services.elders.get(tenant, elder_id(elder))
    thread = open_thread(services, tenant, known.id, conversation_id=hello.conversation_id, member=hello.member)
    return tenant, known, thread


def _key_of(socket: WebSocket) -> str:
    bearer = socket.headers.get("authorization", "")
    if bearer.lower().startswith("bearer "):
        return bearer[7:].strip()
    return socket.headers.get("x-api-key", "")
