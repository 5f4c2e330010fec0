#!/usr/bin/env bats
# The tree's own rules: layers, who may include what, manuals, top level.
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load helper

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

# Prints what it was given and fails when that is not empty.
nothing() {
	[ -z "$1" ] || {
		printf '%s\n' "$1"
		return 1
	}
}

# Each module with the number of its layer.
layer_table() {
	awk -F: '!/^#/ && NF > 1 { n += $1 != layer; layer = $1
		split($2, m, " "); for (i in m) print m[i], n }' tests/layers
}

sources() {
	find lib bin -name '*.[ch]' | sort
}

manual_of() {
	find man -name "$1.[18]"
}

# A large module has further files, named MODULE_PART.c, in its layer.
@test "each module of lib is in tests/layers, and each word there is a module" {
	run -0 diff <(find lib -name '*.[ch]' -printf '%f\n' |
		sed 's/_.*//; s/\.[ch]$//' | sort -u) \
		<(layer_table | cut -d' ' -f1 | sed 's/_.*//' | sort -u)
	[ "$(layer_table | cut -d' ' -f1 | sort | uniq -d)" = "" ]
}

@test "a module includes only its own layer or a lower one" {
	local wrong
	wrong=$(awk '
		FNR == NR { layer[$1] = $2; next }
		/^#include "/ {
			from = FILENAME; sub(/.*\//, "", from); sub(/[_.].*/, "", from)
			to = $2; gsub(/"|\.h/, "", to); sub(/_.*/, "", to)
			if (!(to in layer) || layer[to] > layer[from])
				print FILENAME " includes " $2
		}' <(layer_table) lib/*.[ch])
	nothing "$wrong"
}

@test "each library of others is included by its own module only" {
	local rule wrong=
	for rule in 'libpq-fe\.h:lib/db' \
		'curl/:lib/httpc' 'openssl/:lib/(hash|crypt|secret)' \
		'libxml/:lib/(xml|fsxml)' 'popt\.h:(lib/opt|bin/)'; do
		wrong+=$(sources | xargs grep -nE "#include <${rule%%:*}" |
			grep -vE "^${rule#*:}" || :)
	done
	nothing "$wrong"
}

@test "only options and output write standard output, only options and log standard error" {
	nothing "$(find lib -name '*.c' ! -name 'opt*.c' ! -name 'out*.c' \
		-exec grep -nE '[^a-z_](printf|puts|putchar|vprintf)\(|[( ]stdout[,)]' {} + |
		grep -v 'out_begin(stdout' || :)"
	nothing "$(find lib -name '*.c' ! -name 'opt*.c' ! -name 'log*.c' \
		-exec grep -nE '[( ]stderr[,)]|[^a-z_]perror\(' {} +)"
}

@test "programs are thin and modules are split before 800 lines" {
	nothing "$(find bin -name '*.c' -exec awk \
		'END { if (NR > 200) print FILENAME, NR }' {} \;)"
	nothing "$(find lib tests -name '*.[ch]' -exec awk \
		'END { if (NR >= 800) print FILENAME, NR }' {} \;)"
}

@test "the top level is as the design fixed it" {
	local allowed='bin|lib|man|sql|etc|ha|tests|Makefile|README\.md|LICENSE'
	nothing "$(find . -mindepth 1 -maxdepth 1 ! -name .git ! -name 'build*' \
		-printf '%f\n' |
		grep -vxE "$allowed|\.ci|\.clang-format|\.gitignore" || :)"
}

@test "no file names a folder of somebody's machine, and none speaks of later work" {
	local folder='/(work|root|home/[a-z]+)/' later='TO''DO|FIX''ME|X''XX:'
	nothing "$(grep -rnIE "$folder|\b($later)|not im""plemented" \
		bin lib man sql etc tests .ci Makefile README.md \
		--exclude-dir=data || :)"
}

@test "no test is skipped" {
	nothing "$(grep -nE '(^|[;&|[:space:]])sk''ip([[:space:]]|$)' \
		tests/*.bats tests/*.bash || :)"
}

@test "each program has a manual, and each manual of sections 1 and 8 a program" {
	run -0 diff <(find bin -name '*.c' -printf '%f\n' | sed 's/\.c$//' | sort) \
		<(find man -name '*.[18]' -printf '%f\n' | sed 's/\.[18]$//' | sort)
}

@test "each manual is clean and starts each sentence on its own line" {
	run -0 mandoc -Tlint -W warning man/*.[1-8]
	nothing "$(mandoc -Tlint -W style man/*.[1-8] |
		grep 'new sentence, new line' || :)"
}

@test "each manual of a program has the fixed sections in their order" {
	local page section
	for page in man/*.[18]; do
		for section in NAME SYNOPSIS DESCRIPTION ENVIRONMENT FILES \
			'EXIT STATUS' EXAMPLES DIAGNOSTICS 'SEE ALSO'; do
			grep -qx ".Sh $section" "$page" || {
				echo "$page has no section $section"
				return 1
			}
		done
		run -0 diff <(grep -xE '\.Sh (NAME|SYNOPSIS|DESCRIPTION|ENVIRONMENT|FILES|EXIT STATUS|EXAMPLES|DIAGNOSTICS|SEE ALSO|STANDARDS|CAVEATS)' "$page") \
			<(printf '.Sh %s\n' NAME SYNOPSIS DESCRIPTION \
				ENVIRONMENT FILES 'EXIT STATUS' EXAMPLES \
				DIAGNOSTICS 'SEE ALSO' STANDARDS CAVEATS |
				grep -xFf "$page")
	done
}

# The options at the start of the lines of --help: "-f", "--format".
help_options() {
	"$1" --help | sed -n '/^Options:/,/^$/s/^ *\(-.*\)/\1/p' |
		sed 's/   .*//' | grep -oE '(^|[ ,])--?[a-zA-Z][a-z0-9-]*' |
		tr -d ' ,' | sort -u
}

# The options that head an item of the manual: ".It Fl f , Fl -format Ar X".
manual_options() {
	grep -E '^\.It Fl' "$1" | grep -oE 'Fl -?[a-zA-Z][a-z0-9-]*' |
		sed 's/^Fl /-/' | sort -u
}

@test "the options of --help and of the manual are the same" {
	local program page
	for program in bin/*.c; do
		program=$(basename "$program" .c)
		page=$(manual_of "$program")
		echo "$program: < --help > $page"
		run -0 diff <(help_options "$program") <(manual_options "$page")
	done
}

@test "each command of --help is in the manual" {
	local program command
	for program in bin/*.c; do
		program=$(basename "$program" .c)
		for command in $("$program" --help |
			sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'); do
			grep -qE "^\.(It|Nm|Op)? ?.*(Cm|Ic|Ar) $command( |\$)" \
				"$(manual_of "$program")" || {
				echo "$program: '$command' is not in its manual"
				return 1
			}
		done
	done
}

@test "each program knows --version and refuses an unknown option with 64" {
	local program
	for program in bin/*.c; do
		program=$(basename "$program" .c)
		run -0 "$program" --version
		[[ $output == "$program "* ]]
		run -64 "$program" --no-such-option
	done
}

@test "each cross reference of a manual leads to a page of ours or of others" {
	local name section
	while read -r _ name section _; do
		case $name in
		voip*) [ -e "man/$name.$section" ] || {
			echo "there is no $name($section)"
			return 1
		} ;;
		esac
	done < <(grep -hE '^\.Xr ' man/*.[1-8])
}

# An example is run when the line before it is `.\" runnable`: either one
# `.Dl $ COMMAND`, which must succeed, or a literal display, in which each line
# after "$ " is a command and the lines after it are what it prints ("..." for
# anything).  All run against one database with the schema and no tenant.
@test "the examples marked as runnable in the manuals print what they show" {
	local page line state command='' expected='' count=0
	check_example() {
		[ -n "$command" ] || return 0
		echo "$page: $command"
		count=$((count + 1))
		run -0 bash -c "cd '$BATS_TEST_TMPDIR' && $command"
		if [ -n "$expected" ] && [[ $expected != *...* ]]; then
			diff <(printf '%s' "$expected") <(echo "$output")
		fi
		command='' expected=''
	}
	clone_db
	for page in man/*.[1-8]; do
		state=''
		while IFS= read -r line; do
			case $state$line in
			'.\" runnable') state=armed: ;;
			'armed:.Dl $ '*)
				command=${line#'.Dl $ '}
				check_example
				state=''
				;;
			armed:.Bd*) state=block: ;;
			armed:*) state='' ;;
			block:.Ed)
				check_example
				state=''
				;;
			'block:$ '*)
				check_example
				command=${line#'$ '}
				;;
			block:*)
				if [[ $command == *\\ ]]; then
					command+=$'\n'$line
				else
					expected+=$line$'\n'
				fi
				;;
			esac
		done < <(sed 's/\\e/\\/g; s/\\&//g' "$page")
	done
	drop_db
	[ "$count" -gt 3 ]
}
