"""A page whose config says only what its browser needs to hear: less than half of what Gradio sends."""

from __future__ import annotations

from typing import Any

import gradio as gr

from voxtune.studio import sign_in

_FOR_API = ("api_info", "api_info_as_input", "api_info_as_output", "example_inputs", "skip_api", "component_class_id", "key")
"""Of a component: read by Gradio's page about its API, which there is none of here, and for components that are not Gradio's own."""

_FOR_OTHERS: dict[str, Any] = {
    "api_description": None,
    "batch": False,
    "cancels": [],
    "collects_event_data": False,
    "component_prop_inputs": [],
    "event_specific_args": None,
    "js": None,
    "js_implementation": None,
    "max_batch_size": 4,
    "render_id": None,
    "rendered_in": None,
    "scroll_to_output": False,
    "show_progress_on": None,
    "stream_every": 0.5,
    "time_limit": None,
    "trigger_after": None,
    "trigger_only_on_failure": False,
    "trigger_only_on_success": False,
}
"""Of an event: what the page takes for granted where it is not said (gradio 6.31)."""


_HEARD = ("_selectable", "_retryable", "_undoable", "likeable", "streamable")
"""Of a component: whether somebody listens to an event of it. What is not said counts as no."""


class LightBlocks(gr.Blocks):
    """Blocks without what describes them to programs, and that fetch nothing: the studio has no API."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **more: Any) -> list[Any]:
        """Take what the page sends; of files only those that it uploaded, where Gradio would fetch any address that is named in their place."""
        for value in inputs:
            _refuse_addresses(value)
        return await super().preprocess_data(block_fn, inputs, *args, **more)  # type: ignore[no-any-return]

    @property
    def expects_oauth(self) -> bool:
        """Whether Gradio serves its addresses for signing in at the Hub; the button to them is the publishing step's own."""
        return sign_in.by_browser()

    def get_config_file(self) -> Any:
        """The config that the page is made of."""
        config = super().get_config_file()
        for component in config["components"]:
            for name in _FOR_API:
                component.pop(name, None)
            component["props"].pop("preserved_by_key", None)  # of components that are rendered anew by gr.render, which there are none of
            if "latex_delimiters" in component["props"]:
                component["props"]["latex_delimiters"] = []  # there are no formulas
            for name in _HEARD:
                if component["props"].get(name) is False:
                    del component["props"][name]
        for event in config["dependencies"]:
            for name, usual in _FOR_OTHERS.items():
                if name in event and event[name] == usual:
                    del event[name]
        return config


def _refuse_addresses(value: Any) -> None:
    if isinstance(value, list):
        for each in value:
            _refuse_addresses(each)
    elif isinstance(value, dict):
        path = value.get("path")
        if value.get("is_stream") or (isinstance(path, str) and "://" in path):
            raise gr.Error("only files that were uploaded here are taken.", print_exception=False)
        for each in value.values():
            _refuse_addresses(each)
