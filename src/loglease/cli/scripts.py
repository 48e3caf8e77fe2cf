"""Completion scripts. Each asks `loglease complete-words` for what may come next, so they never go out of date."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Shell = Literal["bash", "zsh", "fish"]

_BASH: Final = r"""# bash completion of loglease
_loglease() {
    local word IFS=$'\n'
    COMPREPLY=()
    while read -r word; do
        COMPREPLY+=("$(printf '%q' "$word")")
    done < <(LOGLEASE_NO_INPUT=1 LOGLEASE_TIMEOUT=2 loglease complete-words -- \
        "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o nosort -F _loglease loglease
"""

_ZSH: Final = r"""#compdef loglease
# zsh completion of loglease
_loglease() {
    local -a found
    found=("${(@f)$(LOGLEASE_NO_INPUT=1 LOGLEASE_TIMEOUT=2 loglease complete-words -- \
        "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    compadd -a found
}
compdef _loglease loglease
"""

_FISH: Final = r"""# fish completion of loglease
function __loglease_words
    set -l typed (commandline -opc) (commandline -ct)
    env LOGLEASE_NO_INPUT=1 LOGLEASE_TIMEOUT=2 loglease complete-words -- $typed[2..-1] 2>/dev/null
end
complete -c loglease -f -a '(__loglease_words)'
"""

SCRIPTS: Final[Mapping[str, str]] = MappingProxyType({"bash": _BASH, "zsh": _ZSH, "fish": _FISH})
"""Script by shell."""
