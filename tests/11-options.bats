#!/usr/bin/env bats
# The command line, the output formats and the log of every program.

# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2030,SC2031 # each test has an environment of its own
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	while IFS= read -r name; do
		unset "$name"
	done < <(compgen -v VOIP_)
	unset JOURNAL_STREAM CONF_TOOL_RUN NO_COLOR
	export VOIP_CONFIG=/dev/null
}

# Without the time and the process id.
log_lines() {
	sed -E 's/^[0-9TZ:.-]{24} //; s/\[[0-9]+\]/[PID]/'
}

@test "--help shows usage, purpose, options in order, and commands" {
	run -0 --separate-stderr conf-tool --help
	[ -z "$stderr" ]
	[ "${lines[0]}" = "Usage: conf-tool COMMAND [ARGUMENT...]" ]
	[ "${lines[1]}" = "Show the settings, for the tests." ]
	grep -o -- '--[a-z-]*' <<<"$output" >options
	LC_ALL=C sort -c options
	[ "$(tr '\n' ' ' <options)" = "--config --format --help --loud --set --show-config --version --word " ]
	[[ "$output" == *$'\nCommands:\n'*"  get NAME...             print settings"* ]]
}

@test "--version prints the program and its version" {
	run -0 conf-tool --version
	[[ "$output" == "conf-tool "?* ]]
	[ "${#lines[@]}" -eq 1 ]
}

@test "an unknown option is a usage error" {
	run -64 conf-tool --frob
	[ "$output" = "conf-tool: --frob: unknown option
hint: 'conf-tool --help' shows the command line" ]
}

@test "an option without its value is a usage error" {
	run -64 conf-tool --config
	[ "${lines[0]}" = "conf-tool: --config: missing argument" ]
}

@test "an unknown command is a usage error, and a near one is suggested" {
	run -64 conf-tool frobnicate
	[ "$output" = "conf-tool: unknown command 'frobnicate'
hint: 'conf-tool --help' shows the command line" ]
	run -64 conf-tool gett proxy
	[ "$output" = "conf-tool: unknown command 'gett'
hint: did you mean 'get'?" ]
}

@test "no command is a usage error" {
	run -64 conf-tool
	[ "${lines[0]}" = "conf-tool: no command given" ]
}

@test "too few and too many arguments are usage errors" {
	run -64 conf-tool get
	[ "$output" = "conf-tool: wrong arguments
hint: expected 'get NAME...'" ]
	run -64 conf-tool ms a b
	[ "$output" = "conf-tool: wrong arguments
hint: expected 'ms NAME'" ]
}

@test "options may follow the command and its arguments" {
	run -0 conf-tool get proxy --set proxy=x user_context
	[ "$output" = $'x\ndefault' ]
}

@test "after -- there are only arguments" {
	export CONF_TOOL_RUN=1
	run -0 conf-tool -l -- --word x
	[ "$output" = "word= loud=1 [--word] [x]" ]
}

@test "arguments that are no command go to the program that wants them" {
	export CONF_TOOL_RUN=1
	run -0 conf-tool --word hello frob nicate
	[ "$output" = "word=hello loud=0 [frob] [nicate]" ]
	run -0 conf-tool
	[ "$output" = "word= loud=0" ]
	run -0 conf-tool get proxy
	[ "$output" = 127.0.0.1:5060 ]
}

@test "of an option that is repeated the last one counts" {
	export CONF_TOOL_RUN=1
	run -0 conf-tool --word a -w b --word=c
	[ "$output" = "word=c loud=0" ]
	run -64 conf-tool --config /dev/null --config /dev/null --word a --frob
}

@test "each kind of error has its exit status" {
	local kind=1 status_wanted
	for status_wanted in 64 65 1 1 75 78 71 70; do
		run "-$status_wanted" conf-tool fail $kind 'it failed'
		[ "${lines[0]}" = "conf-tool: it failed" ]
		kind=$((kind + 1))
	done
}

@test "a message of several lines is printed as it is, without control bytes" {
	run -65 --separate-stderr conf-tool fail 2 $'bad \033[2J thing\nhint: mend it'
	[ -z "$output" ]
	[ "$stderr" = $'conf-tool: bad \\x1b[2J thing\nhint: mend it' ]
}

@test "a full disk under standard output is reported" {
	for arguments in --help --version --show-config 'get proxy' 'rows a|1|t|{}'; do
		# shellcheck disable=SC2086 # several words
		run -71 --separate-stderr bash -c 'conf-tool "$@" >/dev/full' bash $arguments
		[ "$stderr" = "conf-tool: cannot write to standard output: No space left on device" ]
	done
}

@test "a closed standard output is reported" {
	run -71 --separate-stderr bash -c 'conf-tool get proxy >&-'
	[ "$stderr" = "conf-tool: cannot write to standard output: Bad file descriptor" ]
}

@test "an unknown format is a usage error" {
	run -64 conf-tool --format=xml get proxy
	[ "$output" = "conf-tool: unknown format 'xml'
hint: table, tsv, csv, json or jsonl" ]
	run -0 --separate-stderr conf-tool --help
	[[ "$output" == *"print table, tsv, csv, json, jsonl or nagios"* ]]
	run -0 conf-tool --format=nagios get proxy
}

rows=('André|7|t|{"a":1}' '~|~|~|~' $'tab\there|12|f|[]')

@test "a table is aligned by what the eye sees, without control bytes" {
	run -0 conf-tool rows "${rows[@]}" '日本|1|t|x'
	cat >want <<'END'
name         number  flag  raw
André             7  yes   {"a":1}

tab\x09here      12  no    []
日本              1  yes   x
END
	diff want - <<<"$output"
}

@test "an empty table has its head" {
	run -0 conf-tool rows
	[ "$output" = "name  number  flag  raw" ]
	run -0 conf-tool -f tsv rows
	[ "$output" = $'name\tnumber\tflag\traw' ]
	run -0 conf-tool -f json rows
	[ "$output" = "[]" ]
	run -0 conf-tool -f jsonl rows
	[ -z "$output" ]
}

@test "the head is bold on a terminal, unless NO_COLOR is set" {
	script -qec 'conf-tool rows' /dev/null </dev/null >out
	[ "$(tr -d '\r' <out)" = $'\033[1mname  number  flag  raw\033[0m' ]
	NO_COLOR=1 script -qec 'conf-tool rows' /dev/null </dev/null >out
	[ "$(tr -d '\r' <out)" = "name  number  flag  raw" ]
}

@test "tsv escapes what would break a line or a column" {
	run -0 conf-tool -f tsv rows $'a\tb\nc\rd\\e|1|t|{}' '~|~|~|~'
	cat >want <<'END'
name	number	flag	raw
a\tb\nc\rd\\e	1	t	{}
			
END
	diff want - <<<"$output"
}

@test "csv is RFC 4180, and an empty text is not a null" {
	conf-tool -f csv rows 'a,b|1|t|"x"' '|~|f|~' >got
	printf '%s\r\n' name,number,flag,raw '"a,b",1,t,"""x"""' '"",,f,' | diff - got
}

@test "json and jsonl have the types of the columns" {
	conf-tool -f json rows "${rows[@]}" >got.json
	cat >want.json <<'END'
[
{"name":"André","number":7,"flag":true,"raw":{"a":1}},
{"name":null,"number":null,"flag":null,"raw":null},
{"name":"tab\there","number":12,"flag":false,"raw":[]}
]
END
	diff want.json got.json
	conf-tool -f jsonl rows $'a"b\\c|NaN|t|{\n}' '|007|f|' >got.jsonl
	cat >want.jsonl <<'END'
{"name":"a\"b\\c","number":"NaN","flag":true,"raw":{ }}
{"name":"","number":"007","flag":false,"raw":null}
END
	diff want.jsonl got.jsonl
}

@test "json repairs bytes that are not UTF-8" {
	run -0 conf-tool -f jsonl rows $'Andr\xe9|1|t|~'
	[ "$output" = '{"name":"André","number":1,"flag":true,"raw":null}' ]
}

@test "a log line has time, program, event and fields, and cannot be forged" {
	run -0 --separate-stderr conf-tool log lookup $'a\nb "c" \xff' x=y
	log_lines <<<"$stderr" >got
	cat >want <<'END'
conf-tool[PID]: lookup value="a\x0ab \"c\" \xff" last="x=y"
conf-tool[PID]: warning: a\x0ab "c" \xff
END
	diff want got
	grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z ' <<<"$stderr"
}

@test "a plain value is not quoted, an empty one is" {
	run -0 --separate-stderr conf-tool log lookup 1001@pbx.example.com
	log_lines <<<"${stderr%%$'\n'*}" >got
	[ "$(cat got)" = 'conf-tool[PID]: lookup value=1001@pbx.example.com last=""' ]
}

@test "a JSON log line is valid JSON for any bytes" {
	run -0 --separate-stderr conf-tool --set log_format=json log lookup $'a\nb "c" \xff\x01' x
	while IFS= read -r line; do
		conf-tool json "$line"
	done <<<"$stderr"
	[[ "$stderr" == *'"level":"info","program":"conf-tool","pid":'*',"event":"lookup","value":"a\nb \"c\" ÿ\u0001","last":"x"}'* ]]
	[[ "$stderr" == *'"level":"warning",'*',"message":"a\nb \"c\" ÿ\u0001"}' ]]
}

@test "the level decides what is logged" {
	run -0 --separate-stderr conf-tool --set log_level=debug log e v
	[ "$(wc -l <<<"$stderr")" -eq 3 ]
	run -0 --separate-stderr conf-tool --set log_level=warning log e v
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	run -0 --separate-stderr conf-tool --set log_level=error log e v
	[ -z "$stderr" ]
}

@test "the journal gets priorities and no time" {
	: >err
	stream=$(stat -c %d:%i err)
	JOURNAL_STREAM=$stream conf-tool log e v 2>err
	[ "$(cat err)" = $'<6>e value=v last=""\n<4>warning: v' ]
	for other in 1:2 "${stream%:*}:1" "1:${stream#*:}" nonsense ''; do
		JOURNAL_STREAM=$other conf-tool log e v 2>err
		[[ "$(log_lines <err)" == "conf-tool[PID]: e value=v"* ]]
	done
	conf-tool --set log_target=journal log e v 2>err
	[[ "$(cat err)" == "<6>e value=v"* ]]
	conf-tool --set log_target=journal --set log_format=json log e v 2>err
	[[ "$(cat err)" == '<6>{"time":"'* ]]
	conf-tool --set log_target=stderr log e v 2>err
	[[ "$(log_lines <err)" == "conf-tool[PID]: e value=v"* ]]
}

@test "each log line is one write" {
	# The leak checker is itself a tracer.
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
	strace -f -o trace -e trace=write conf-tool log lookup "$(printf '%03000d' 1)" x 2>err
	[ "$(grep -c 'write(2' trace)" -eq 2 ]
	[ "$(wc -l <err)" -eq 2 ]
}

@test "a value that is too long is cut" {
	conf-tool log lookup "$(printf '%010000d' 1)" x 2>err
	[ "$(wc -c <err)" -lt 9000 ]
	[ "$(wc -l <err)" -eq 2 ]
}
