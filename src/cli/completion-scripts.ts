export const SHELLS = ["bash", "zsh", "fish"] as const;

/** The script that makes a shell ask `pb __complete`. */
export function completionScript(shell: (typeof SHELLS)[number]): string {
  return { bash: BASH, zsh: ZSH, fish: FISH }[shell];
}

/** Bash splits words at ":" and "="; they are put together for pb, and the part before the last ":" taken off its answers. */
const BASH = `# bash completion for pb
_pb() {
  local IFS=$'\\n' i word line directive="" glued=0
  local -a words=()
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if ((i == COMP_CWORD)) && [[ "\${COMP_LINE:0:COMP_POINT}" == *" " ]]; then
      words+=("")
    elif [[ "$word" == ":" || "$word" == "=" || $glued == 1 ]] && ((\${#words[@]} > 0)); then
      words[\${#words[@]}-1]+="$word"
    else
      words+=("$word")
    fi
    glued=0
    [[ "$word" == *":" || "$word" == "=" ]] && glued=1
  done
  local current=""
  ((\${#words[@]} > 0)) && current="\${words[\${#words[@]}-1]}"
  local prefix=""
  [[ "$COMP_WORDBREAKS" == *:* ]] && prefix="\${current%"\${current##*:}"}"
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ "$line" == :* ]]; then
      directive="$line"
    else
      line="\${line%%$'\\t'*}"
      COMPREPLY+=("$(printf '%q' "\${line#"$prefix"}")")
    fi
  done < <(pb __complete -- "\${words[@]}" 2>/dev/null)
  if [[ "$directive" == ":files" ]]; then
    local -a files=($(compgen -f -- "$current"))
    if ((\${#files[@]} > 0)); then
      compopt -o filenames
      COMPREPLY+=("\${files[@]}")
    fi
  fi
  [[ \${#COMPREPLY[@]} == 1 && "\${COMPREPLY[0]}" == *[:/] ]] && compopt -o nospace
  return 0
}
complete -F _pb pb
`;

const ZSH = `#compdef pb
_pb() {
  local line directive="" word about
  local -a plain open descriptions
  while IFS= read -r line; do
    if [[ "$line" == :* ]]; then
      directive="$line"
      continue
    fi
    word="\${line%%$'\\t'*}"
    about="\${line#*$'\\t'}"
    if [[ "$word" == *[:/] ]]; then
      open+=("$word")
    else
      plain+=("\${word//:/\\\\:}:$about")
    fi
  done < <(pb __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#plain} )) && _describe 'pb' plain
  (( \${#open} )) && compadd -S '' -- "\${open[@]}"
  [[ "$directive" == ":files" ]] && _files
  return 0
}
if [[ "$funcstack[1]" == "_pb" ]]; then
  _pb "$@"
else
  compdef _pb pb
fi
`;

const FISH = `# fish completion for pb
function __pb_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in (pb __complete -- $words[2..-1] "$current" 2>/dev/null)
    if test "$line" = ":files"
      __fish_complete_path "$current"
    else if not string match -q ':*' -- $line
      echo $line
    end
  end
end
complete -c pb -f -a '(__pb_complete)'
`;
