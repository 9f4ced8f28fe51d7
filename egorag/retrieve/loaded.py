"""The encoders of an index that queries need: loaded when first asked for, kept until closed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from egorag import registry
from egorag.errors import ConfigError, EgoragError, did_you_mean
from egorag.store.folder import IndexFolder
from egorag.types import Query


class LoadedEncoders:
    """Encoders by name, with the settings they were indexed with.

    Args:
        device: where pretrained encoders embed queries.
        changed: settings by encoder that differ here: where the weights lie, the batch.

    Raises:
        ConfigError: ``changed`` names an encoder that the index does not have.
    """

    def __init__(
        self, folder: IndexFolder, device: str, changed: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._folder = folder
        self._device = device
        self._changed = {name: dict(settings) for name, settings in changed.items()}
        self._ready: dict[str, Any] = {}
        known = folder.catalog.encoders()
        for name in self._changed:
            if name not in known:
                raise ConfigError(f"the index has no encoder {name!r}{did_you_mean(name, known)}")

    def built(self, name: str) -> Any:
        """The encoder, not loaded.

        Raises:
            ConfigError: the index has none of that name.
        """
        known = self._folder.catalog.encoders()
        if name not in known:
            raise ConfigError(f"the index has no encoder {name!r}{did_you_mean(name, known)}")
        settings = dict(known[name].settings)
        return registry.build("encoders", name, settings | self._changed.get(name, {}))

    def get(self, name: str) -> Any:
        """The encoder, its weights fetched and loaded.

        Raises:
            ConfigError: it cannot be loaded here; says how to search without it.
        """
        if name not in self._ready:
            encoder = self.built(name)
            try:
                if hasattr(encoder, "fetch"):
                    encoder.fetch()
                encoder.setup(self._device)
            except (EgoragError, ImportError, OSError) as error:
                raise ConfigError(
                    f"encoder {name!r} of this index takes the query but cannot be loaded: {error} "
                    f"(without=[{name}] searches without it)"
                ) from error
            self._ready[name] = encoder
        return self._ready[name]

    def taking(
        self, query: Query, without: Collection[str], texts: Collection[str]
    ) -> dict[str, Any]:
        """Those that embed something of ``query``, loaded, by name.

        Args:
            without: names to leave out.
            texts: names of those that a text is also embedded by for a projection.
        """
        known = self._folder.catalog.encoders().items()
        return {
            name: self.get(name)
            for name, row in known
            if (row.space and row.space.queries & set(query.media) and name not in without)
            or (query.text is not None and name in texts)
        }

    def of_text(self, model: str | None) -> Any | None:
        """The index's text encoder of this model, else its first; None if it has none."""
        able = {
            name: row.space.model
            for name, row in self._folder.catalog.encoders().items()
            if row.medium == "text" and row.space is not None and "text" in row.space.queries
        }
        chosen = next((name for name, of in able.items() if of == model), next(iter(able), None))
        return None if chosen is None else self.get(chosen)

    def close(self) -> None:
        """Give memory back."""
        while self._ready:
            self._ready.popitem()[1].close()
