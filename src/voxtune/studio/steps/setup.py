"""How a run is set up, inside the step of training: a preset, the fields behind it, what it will take, and the button that begins it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.components import Component

from voxtune.errors import CallError
from voxtune.settings import TrainSettings
from voxtune.studio import elsewhere, machine, measuring, readiness, run_draft, run_fields, setup_view, starting, words
from voxtune.studio.access import Room
from voxtune.studio.page import QUIET, WAITING, Page, renew, tell
from voxtune.studio.run_draft import CUSTOM, FIRST, Draft
from voxtune.studio.run_fields import BASIC, GROUPS, NAMES
from voxtune.studio.shell import answering
from voxtune.studio.words import Words
from voxtune.training.presets import PRESETS


@dataclass(frozen=True)
class Setup:
    """The part of the page in which a run is set up."""

    names: tuple[str, ...]
    """The settings that have a field."""
    fields: list[Component]
    """Those, in the same order."""
    preset: gr.Radio
    follow: Callable[[Any], Any]
    """Give it an event that filled the fields: summary and preset follow."""

    def values_for(self, settings: TrainSettings, changes: Mapping[str, object]) -> list[Any]:
        """What to put into `fields` so that they hold `settings` with `changes` of them, as a failed run suggests them."""
        return [gr.update(value=value) for value in run_fields.values_of(settings, changes)]


def part(page: Page) -> Setup:
    """Build it where the caller stands."""
    label = page.label
    built: dict[str, Component] = {}
    with gr.Column(elem_id="vx-setup", elem_classes="vx-setup"):
        preset = gr.Radio(choices=_presets(words.words("en"), CUSTOM), value=FIRST, label=label("setup.preset"), elem_id="vx-setup-preset")
        with gr.Row(elem_classes="fields"):
            built |= {name: run_fields.build(page, name) for name in BASIC}
        with gr.Accordion(label("setup.advanced"), open=False, elem_id="vx-setup-advanced"):
            for group, names in GROUPS.items():
                gr.Markdown(label(f"setup.group.{group}"), elem_classes="group")
                with gr.Row(elem_classes="fields"):
                    built |= {name: run_fields.build(page, name) for name in names}
        summary = gr.HTML(elem_id="vx-setup-summary", apply_default_css=False)
        with gr.Row(elem_classes="small"):
            measure = gr.Button(label("setup.measure"), size="sm", elem_id="vx-setup-measure")
            fit = gr.Button(label("setup.fit"), size="sm", visible=False, elem_id="vx-setup-fit")
            again = gr.Button(label("setup.again"), size="sm", visible=False, elem_id="vx-setup-again")
        checks = gr.HTML(elem_id="vx-setup-checks", apply_default_css=False)
        start = gr.Button(label("setup.start"), variant="primary", interactive=False, elem_id="vx-setup-start", elem_classes="vx-next")
        with gr.Accordion(label("setup.elsewhere"), open=False, elem_id="vx-setup-elsewhere"):
            gr.Markdown(label("setup.elsewhere_about"), elem_classes="vx-note")
            code: dict[str, Any] = {"interactive": False, "wrap_lines": True, "show_line_numbers": False}
            command = gr.Code(language="shell", label=label("setup.command"), elem_id="vx-setup-command", **code)
            yaml = gr.Code(language="yaml", label=label("setup.yaml"), max_lines=16, elem_id="vx-setup-yaml", **code)
        waiting = gr.Timer(1.0, active=False)

    fields = [built[name] for name in NAMES]
    answers = _Answers(page, fields)
    given = [page.key, preset, *fields]
    view = [summary, measure, fit, again, checks, start, command, yaml, waiting]
    everything = [preset, *fields, *view]
    page.on_entering("training", answering(answers.enter), everything)
    # A preset has other values for another model; any other field makes it a custom run. One event for all of them: each would weigh a kilobyte.
    gr.on([preset.input, _typed(built["model"])], answering(answers.choose), given, everything, trigger_mode="always_last", **QUIET)
    others = [_typed(field) for name, field in built.items() if name != "model"]
    gr.on(others, answering(answers.change), given, [preset, *view], trigger_mode="always_last", **QUIET)
    waiting.tick(answering(answers.tick), given, everything, **QUIET)
    measure.click(answering(answers.measure), given, [preset, *view], **QUIET)
    fit.click(answering(answers.fit), given, everything, **QUIET)
    again.click(answering(answers.look_again), given, [preset, *view], **QUIET)
    start.click(answering(answers.start), given, page.stepper, trigger_mode="multiple", **WAITING).success(None, js=tell("run"), **QUIET)

    def follow(event: Any) -> Any:
        return event.success(answering(answers.change), given, [preset, *view], **QUIET)

    return Setup(NAMES, fields, preset, follow)


def _typed(field: Component) -> Any:
    """The event of a field that a person changes; components have theirs from a table."""
    return cast("Any", field).input


class _Answers:
    """What happens on the page when something is done to it. `values` are those of the fields."""

    def __init__(self, page: Page, fields: Sequence[Component]) -> None:
        self._gate = page.gate
        self._fields = fields

    def enter(self, request: gr.Request, key: str) -> tuple[Any, ...]:
        """The step is shown: what was on it last, or what suits this machine."""
        room = self._gate.room(key)
        return self._filled(room, words.of(request), *run_draft.begin(room))

    def choose(self, request: gr.Request, key: str, chosen: str, *values: Any) -> tuple[Any, ...]:
        """A preset, or a model, was chosen: the fields follow."""
        room = self._gate.room(key)
        wanted = run_draft.by_preset(room, chosen, values[0]) if chosen in PRESETS else values
        run_draft.keep(room, chosen, wanted)
        return self._filled(room, words.of(request), chosen, wanted)

    def change(self, request: gr.Request, key: str, _chosen: str, *values: Any) -> tuple[Any, ...]:
        """A field was changed by hand."""
        room = self._gate.room(key)
        run_draft.keep(room, CUSTOM, values)
        return _shown(room, words.of(request), CUSTOM, values)

    def tick(self, request: gr.Request, key: str, chosen: str, *values: Any) -> tuple[Any, ...]:
        """The machine is being looked at, or the time measured: say how far that is."""
        room, said = self._gate.room(key), words.of(request)
        now = run_draft.of_fields(room, values, said)
        if machine.is_looking() or chosen not in PRESETS or now.is_timed(room):
            return gr.skip(), *[gr.skip()] * len(self._fields), *_view(room, said, now)
        return self._filled(room, said, *run_draft.begin(room))  # now that it is known what this machine can do

    def measure(self, request: gr.Request, key: str, chosen: str, *values: Any) -> tuple[Any, ...]:
        """Begin to measure the time."""
        room, said = self._gate.room(key), words.of(request)
        if starting.is_busy(room):
            raise CallError(said.say("setup.busy"))
        now = run_draft.of_fields(room, values, said)
        if now.settings is not None and now.is_ready:
            measuring.start(room.workspace.path, now.settings)
        return _shown(room, said, chosen, values)

    def fit(self, request: gr.Request, key: str, chosen: str, *values: Any) -> tuple[Any, ...]:
        """Take the least change of settings that fits into memory."""
        room, said = self._gate.room(key), words.of(request)
        now = run_draft.of_fields(room, values, said)
        if now.settings is None or now.estimate is None or not now.estimate.smaller:
            return self._filled(room, said, chosen, values)
        smaller = run_fields.values_of(now.settings, now.estimate.smaller)
        run_draft.keep(room, CUSTOM, smaller)
        return self._filled(room, said, CUSTOM, smaller)

    def look_again(self, request: gr.Request, key: str, chosen: str, *values: Any) -> tuple[Any, ...]:
        """Look at the machine anew."""
        room = self._gate.room(key)
        machine.look(room.workspace.path, again=True)
        return _shown(room, words.of(request), chosen, values)

    def start(self, request: gr.Request, key: str, _chosen: str, *values: Any) -> dict[str, Any]:
        """Begin the run."""
        room, said = self._gate.room(key), words.of(request)
        now = run_draft.of_fields(room, values, said)
        if now.settings is None or not now.is_ready:
            raise CallError(said.say("setup.not_ready"))
        measuring.keep_only(room.workspace.path, None)
        starting.start(room, now.settings)
        return renew()

    def _filled(self, room: Room, said: Words, chosen: str, values: Sequence[Any]) -> tuple[Any, ...]:
        """Preset, fields and view, the fields as given."""
        named = zip(self._fields, NAMES, values, strict=True)
        updates = [type(field)(value=value, **run_fields.choices(said, name)) for field, name, value in named]
        first, *rest = _shown(room, said, chosen, values)
        return first, *updates, *rest


def _presets(said: Words, chosen: str) -> list[tuple[str, str]]:
    """Those there are, and where the fields are as none of them has them, a word for that."""
    return [(said.say(f"setup.preset.{name}"), name) for name in (*PRESETS, *([CUSTOM] if chosen == CUSTOM else []))]


def _shown(room: Room, said: Words, chosen: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Preset and view, as they follow from the fields."""
    now = run_draft.of_fields(room, values, said)
    measuring.keep_only(room.workspace.path, now.settings)
    return gr.Radio(choices=_presets(said, chosen), value=chosen), *_view(room, said, now)


def _view(room: Room, said: Words, now: Draft) -> tuple[Any, ...]:
    """The values of `view`."""
    place, settings, looking = room.workspace.path, now.settings, machine.is_looking()
    timing = settings is not None and measuring.is_measuring(place, settings)
    figures = command = yaml = ""
    if settings is not None:
        named = settings.model_copy(update={"output": room.workspace.outputs / starting.name_of(settings)})
        command, yaml = elsewhere.command(named), elsewhere.yaml(named)
        if now.data is not None and now.estimate is not None:
            measured = measuring.look(place, settings)
            figures = setup_view.summary(said, settings, now.data, now.estimate, measured, is_measuring=timing, is_looking=looking)
    return (
        figures,
        gr.Button(interactive=now.is_ready and not timing),
        gr.Button(visible=now.estimate is not None and bool(now.estimate.smaller)),
        gr.Button(visible=not looking and any(each.code in readiness.OF_MACHINE for each in now.findings)),
        setup_view.findings(said, now.findings),
        gr.Button(interactive=now.is_ready),
        command,
        yaml,
        gr.Timer(active=looking or timing),
    )
