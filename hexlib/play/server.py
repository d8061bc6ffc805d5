"""The web page on which a person plays against a checkpoint, served on loopback.

The server remembers no game: each question brings all moves, so that a browser tab is a game, and
any number of them may be open.
"""

import socket
from typing import Annotated, Any, Literal, TypeVar

import anyio
import uvicorn
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hexlib import logs, signals
from hexlib.errors import BadInput
from hexlib.game.board import BLUE, MAX_SIZE, MIN_SIZE
from hexlib.pages import render
from hexlib.pages.board import board_of
from hexlib.pages.games import shown_policy, shown_values
from hexlib.play.notes import read_game
from hexlib.search.player import Player, Thought
from hexlib.search.standing import Standing, standing_after

HOST = "127.0.0.1"
MOST_SIMULATIONS = 4096  # a move: seconds on one core with the network of the default run
LARGEST_BODY = 16_384  # bytes of a question
Model = TypeVar("Model", bound=BaseModel)
STRENGTHS = {0: "network alone", 16: "quick", 64: "normal", 256: "strong", 1024: "strongest"}

Size = Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE)]
Cell = Annotated[int, Field(ge=0, lt=MAX_SIZE**2)]


class Question(BaseModel):
    """What every question is about: the moves of a game so far, as cells."""

    model_config = ConfigDict(extra="forbid")

    size: Size
    moves: list[Cell] = Field(max_length=MAX_SIZE**2 + 1)
    simulations: int = Field(64, ge=0, le=MOST_SIMULATIONS)
    may_swap: bool = False


class Record(BaseModel):
    """Text in which a game is to be found."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=4096)


class NewGame(BaseModel):
    """What is chosen before a game; the page's address has it."""

    model_config = ConfigDict(extra="forbid")

    size: Size
    colour: Literal["blue", "red"] = "blue"
    swap: Literal["on", "off"] = "off"
    simulations: int = Field(64, ge=0, le=MOST_SIMULATIONS)


def app(player: Player, name: str, board_size: int | None = None) -> Starlette:
    """The application for a player, `name` says which; see `hexlib/data/pages/play.js`.

    It begins on `board_size`, or on the board that the player was trained on last.

    `GET /` is the page. `POST /position`, `/move` and `/hints` take a `Question`, `/read` a
    `Record`, all as JSON. What is wrong with a question comes back as `{"error": "one line"}`.
    """
    one_at_a_time = anyio.Lock()

    async def think(standing: Standing, simulations: int) -> Thought:
        async with one_at_a_time:
            (thought,) = await run_in_threadpool(player.think, [standing], simulations)
        return thought

    async def page(request: Request) -> Response:
        first = board_size or player.board_sizes[-1]
        try:
            chosen = NewGame(**{"size": first, **request.query_params})
        except ValidationError as error:
            return PlainTextResponse(_first(error), 400)
        text = render(
            "play.html",
            ("board.js", "play.js"),
            name=name,
            board=board_of(chosen.size),
            sizes=range(MIN_SIZE, MAX_SIZE + 1),
            trained=sorted(set(player.board_sizes)),
            strengths=STRENGTHS | {chosen.simulations: STRENGTHS.get(chosen.simulations, "chosen")},
            chosen=chosen.model_dump(),
        )
        return HTMLResponse(text, headers={"X-Frame-Options": "DENY", "Cache-Control": "no-store"})

    async def position(request: Request) -> Response:
        _, standing = await _asked(request)
        return JSONResponse(_described(standing))

    async def move(request: Request) -> Response:
        question, standing = await _asked(request, unfinished=True)
        moves = standing.moves
        if question.may_swap and not moves:
            chosen, value = await run_in_threadpool(player.even_opening, question.size)
        else:
            thought = await think(standing, question.simulations)
            chosen, value = thought.move, thought.value
            # To take over an opening stone is as good as it was for the opponent.
            if question.may_swap and len(moves) == 1 and -value > value:
                chosen, value = moves[0], -value
        after = standing_after(question.size, (*moves, chosen))
        return JSONResponse({"move": chosen, "value": value, **_described(after)})

    async def hints(request: Request) -> Response:
        question, standing = await _asked(request, unfinished=True)
        thought = await think(standing, question.simulations)
        blues = thought.value if standing.to_move == BLUE else -thought.value
        cells = thought.policy.nonzero()[0]
        return JSONResponse(
            {
                "value": blues,
                "policy": shown_policy(cells, thought.policy[cells]),
                "values": shown_values(thought.values),
                "line": thought.line,
            }
        )

    async def read(request: Request) -> Response:
        record = await _body(request, Record)
        try:
            size, moves = read_game(record.text)
            standing = standing_after(size, moves)
        except ValueError as error:  # a person's slip, and so an answer like any other
            return JSONResponse({"error": str(error)})
        return JSONResponse({"size": size, "moves": moves, **_described(standing)})

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code)

    questions = {"/position": position, "/move": move, "/hints": hints, "/read": read}
    return Starlette(
        routes=[
            Route("/", page),
            *(Route(path, answer, methods=["POST"]) for path, answer in questions.items()),
        ],
        # A page of another site whose name leads here (DNS rebinding) must not reach the player.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        exception_handlers={HTTPException: failed},
    )


class Announced(uvicorn.Server):
    """A server that tells its address once it answers there."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        for one in sockets or ():
            logs.log.info(f"play: http://{HOST}:{one.getsockname()[1]}/ (Ctrl-C ends it)")


def serve(player: Player, name: str, port: int, board_size: int | None = None) -> None:
    """Serve on loopback until Ctrl-C; port 0 takes a free one. The address is logged.

    Raises BadInput where the port is taken.
    """
    config = uvicorn.Config(
        app(player, name, board_size), host=HOST, port=port, log_level="warning"
    )
    server = Announced(config)
    try:
        bound = config.bind_socket()
    except SystemExit:
        raise BadInput(f"--port {port}: cannot be listened on; name another, or 0") from None
    server.run(sockets=[bound])
    signals.stop_if_asked("stopped")


def _described(standing: Standing) -> dict[str, Any]:
    return {
        "turn": standing.to_move,
        "winner": standing.winner,
        "chain": standing.chain,
    }


async def _asked(request: Request, unfinished: bool = False) -> tuple[Question, Standing]:
    """The question of a request and where its game stands."""
    question = await _body(request, Question)
    try:
        standing = standing_after(question.size, question.moves)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    if unfinished and standing.winner:
        raise HTTPException(400, "the game is over")
    return question, standing


async def _body(request: Request, model: type[Model]) -> Model:
    """The JSON of a request, checked and bounded."""
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415, "JSON is wanted")  # which a form of another site cannot send
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"more than {LARGEST_BODY} bytes")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(400, _first(error)) from None


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'question'}: {first['msg']}"
