#!/bin/sh
# Answers ssh's prompts in the demo when there is no terminal: ssh runs it for
# each prompt, passes the text, and reads the answer from standard output. What a
# terminal would show goes to standard error.
set -eu

# code waits for the mail to be shown and prints the code in it.
code() {
	tries=0
	while [ "$tries" -lt 300 ]; do
		found=$(cat "$outbox"/cur/* 2>/dev/null | tr -d '\r' | sed -n 's/^Your code: \([0-9]*\)$/\1/p' | tail -n 1)
		if [ -n "$found" ]; then
			echo "$found"
			return
		fi
		tries=$((tries + 1))
		sleep 0.1
	done
	echo "demo: no mail came" >&2
	exit 1
}

case $1 in
*assword:*)
	answer=demo
	shown='(hidden)'
	;;
*Code*)
	printf '%s' "$1" >&2
	answer=$(code)
	shown=$answer
	set -- "(typed at that prompt) "
	;;
*)
	answer=
	shown=
	;;
esac
printf '%s%s\n' "$1" "$shown" >&2
echo "$answer"
