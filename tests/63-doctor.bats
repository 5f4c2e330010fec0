#!/usr/bin/env bats
# voip-ext: keys for the API, what a number finds, removing with all that hangs
# on it, and the doctor.
# shellcheck disable=SC2154,SC2030,SC2031 # each test is a subshell

load helper

setup_file() {
	clone_db
	export PGUSER=voip_ext
	secret=$(mktemp -d)
	export secret VOIP_SECRET_KEY_FILE=$secret/key
	(umask 077 && printf '%064d\n' 7 >"$secret/key")
}

teardown_file() {
	drop_db
	rm -rf "$secret"
}

# Behind the program's back.
look() {
	PGUSER=postgres sql "$1"
}

# --- keys -------------------------------------------------------------------

@test "a key is made by add, printed once, kept as its SHA-256 and shown as stars" {
	run -0 --separate-stderr voip-ext key add crm -f tsv \
		permissions='{"cdr":"read","recordings":"read"}'
	[ "$stderr" = "" ]
	[ "${lines[0]}" = $'key\tsecret' ]
	key=$(cut -f2 <<<"${lines[1]}")
	[[ $key =~ ^[A-Za-z0-9_-]{43}$ ]]
	[ "$(look "select hash from voip.api_keys where key_name = 'crm'")" = \
		"$(printf %s "$key" | sha256sum | cut -d' ' -f1)" ]
	for format in table tsv csv json jsonl; do
		run -0 voip-ext key show crm -f $format
		[[ $output == *'********'* ]]
		[[ $output != *$key* ]]
	done
	[ "$(look "select count(*) from voip.audit as a
		where a::text like '%$key%'
		or a::text like '%' || (select hash from voip.api_keys) || '%'")" = 0 ]
}

@test "a new secret takes the old one's place, and an empty or a short one is refused" {
	voip-ext key add rotated >/dev/null
	before=$(look "select hash from voip.api_keys where key_name = 'rotated'")
	run -0 voip-ext key set rotated secret=random -f tsv
	[ "$(look "select hash from voip.api_keys where key_name = 'rotated'")" = \
		"$(printf %s "$(cut -f2 <<<"${lines[1]}")" | sha256sum | cut -d' ' -f1)" ]
	[ "$(look "select hash from voip.api_keys where key_name = 'rotated'")" != "$before" ]
	run -65 voip-ext key set rotated secret=
	[ "$output" = "voip-ext: field 'secret' of 'key' cannot be empty" ]
	run -65 voip-ext key set rotated secret=geheim
	[[ $output == "voip-ext: field 'secret' of 'key': a key is 32 to 128 letters"* ]]
	[[ $output != *geheim* ]]
}

@test "permissions are read or write of named resources, here and in the database" {
	run -65 voip-ext key add bad permissions='["cdr"]'
	[ "$output" = "voip-ext: field 'permissions' of 'key': '[\"cdr\"]' is not a JSON object" ]
	run -65 voip-ext key add bad permissions='{"cdr":"delete"}'
	[ "$output" = "voip-ext: field 'permissions' of 'key': the permission for 'cdr' is neither \"read\" nor \"write\"" ]
	run -65 voip-ext key add bad permissions='{"cdr":["read"]}'
	[[ $output == *"'cdr' is neither"* ]]
	run -65 voip-ext key add bad permissions='{"C D":"read"}'
	[[ $output == *"'C D' is not the name of a resource"* ]]
	for value in '{"cdr":"delete"}' '{"cdr":["read"]}' '{"cdr":1}' '{"cdr":null}'; do
		run look "insert into voip.api_keys (key_name, hash, permissions)
			values ('bad', repeat('a', 64), '$value')"
		[[ $output == *api_keys_permissions_check* ]]
	done
	[ "$(look "select count(*) from voip.api_keys where key_name = 'bad'")" = 0 ]
}

@test "a key ends at a day, at a moment with its zone, or so long from now" {
	ends() {
		voip-ext key set timed expires_at="$1"
		voip-ext key show timed -f tsv | tail -n 1 | cut -f4
	}
	voip-ext key add timed >/dev/null
	[ "$(ends 2031-01-31)" = 2031-01-31T00:00:00Z ]
	[ "$(ends 2031-01-31T18:30Z)" = 2031-01-31T18:30:00Z ]
	[ "$(ends '2031-01-31 18:30:05+01:00')" = 2031-01-31T17:30:05Z ]
	[ "$(ends '')" = "" ]
	ends 90d
	[ "$(look "select abs(extract(epoch from expires_at - now() - interval '2160 hours'))
		< 60 from voip.api_keys where key_name = 'timed'")" = t ]
	for value in tomorrow 2031-02-30 2031-13-01 31.01.2031 90 90x 2031-01-31T25:00Z -1d; do
		run -65 voip-ext key set timed expires_at=$value
		[ "${lines[0]}" = "voip-ext: field 'expires_at' of 'key': '$value' is not a time" ]
	done
}

# --- numbers and patterns ---------------------------------------------------

@test "a number out of range is refused with the range, and a priority may be negative" {
	voip-ext trunk add ranged host=192.0.2.1
	for value in 70000 0 -1 +5 " 5" 5x 99999999999999999999; do
		run -65 voip-ext trunk set ranged port="$value"
		[ "$output" = "voip-ext: field 'port' of 'trunk': '$value' is not a number from 1 to 65535" ]
	done
	voip-ext trunk rm ranged
	voip-ext node add sip:192.0.2.9:5080 priority=-10
	[ "$(voip-ext node list -f tsv | cut -f3)" = $'priority\n-10' ]
	voip-ext node rm sip:192.0.2.9:5080
	run -65 voip-ext node add sip:192.0.2.9:5080 weight=101
	[ "$output" = "voip-ext: field 'weight' of 'node': '101' is not a number from 0 to 100" ]
	run -65 voip-ext ivr add menu@default.local max_failures=0
	[ "$output" = "voip-ext: field 'max_failures' of 'ivr': '0' is not a number from 1 to 100" ]
}

@test "a pattern is checked when it is written, and the message names the rule" {
	at=@default.local
	voip-ext trunk add checked host=192.0.2.1
	for pattern in 0XXXXXXXXX + 0. +49. 'NXX' '[15-7]X' '*9X' 00ZX.; do
		[ "$pattern" = + ] && continue
		voip-ext add "$pattern$at" trunk=checked
		voip-ext rm "$pattern$at"
	done
	run -65 voip-ext add "0XY$at" trunk=checked
	[ "${lines[0]}" = "voip-ext: field 'extension' of extension '0XY$at': 'Y' is not allowed at offset 2 in pattern '0XY'" ]
	[ "${lines[1]}" = "hint: digits, * # X Z N, classes such as [15-7], and '.' at the end" ]
	for pattern in + . +. 0.1 '[7-5]' '[1' 'X[]'; do
		run -65 voip-ext add "$pattern$at" trunk=checked
		[[ $output == "voip-ext: "*"'$pattern'"* ]]
		run -65 voip-ext emergency add "$pattern"
		[[ $output == "voip-ext: "*"'$pattern'"* ]]
	done
	voip-ext trunk rm checked
}

# --- route ------------------------------------------------------------------

# The rows that `route` prints: answers, matched, pattern, reason.
rows() {
	voip-ext route "$1" -f tsv | tail -n +2 | cut -f1-3,10
}

@test "route prints the answer first, then what matches but comes later" {
	voip-ext domain add route.example
	voip-ext trunk add way host=192.0.2.1
	voip-ext add 0XXXXXXXXX@route.example trunk=way need_media=false
	voip-ext add 0.@route.example trunk=way
	voip-ext add 0912345678@route.example password=random >/dev/null
	[ "$(rows 0912345678@route.example)" = "true	exact	0912345678	extension 0912345678 of route.example
false	pattern	0XXXXXXXXX	0912345678 comes first
false	pattern	0.	0912345678 comes first" ]
	run -0 voip-ext route 0912345679@route.example -f tsv
	[ "${lines[1]}" = "true	pattern	0XXXXXXXXX	trunk_out	0912345679	false	2	way	trunk_out;name=way;trunk_id=$(
		look "select id from voip.trunks where name = 'way'")	pattern 0XXXXXXXXX of route.example" ]
	voip-ext emergency add 09X. trunk=way
	[ "$(rows 0912345678@route.example | cut -f1-3)" = "true	emergency	09X.
false	exact	0912345678
false	pattern	0XXXXXXXXX
false	pattern	0." ]
	voip-ext emergency rm 09X.
	for format in table tsv csv json jsonl; do
		run -0 voip-ext route 0912345678@route.example -f $format
		[[ $output == *'extension 0912345678 of route.example'* ]]
	done
}

@test "route tells why nothing answers, and ends with 1" {
	voip-ext domain add near.example
	voip-ext trunk add far host=192.0.2.1
	voip-ext add 0NXX@near.example trunk=far
	voip-ext add 2001@near.example password=random >/dev/null
	none() {
		run -1 --separate-stderr voip-ext route "$1" -f tsv
		[ "$stderr" = "voip-ext: nothing answers '$1'" ]
		[ "$(tail -n +2 <<<"$output" | cut -f1-3,10)" = "$2" ]
	}
	none 022@near.example "false	near	0NXX	wants 4 digits, 3 were dialled"
	none 0134@near.example "false	near	0NXX	wants one of 23456789 as digit 2, not 1"
	none 2002@near.example "false	number	2001	it is another number"
	none 2001@none.example "false	domain		there is no domain none.example
false	elsewhere	2001@near.example	it is a number of another domain"
	voip-ext trunk set far active=false
	none 0200@near.example "false	pattern	0NXX	its trunk is inactive: far"
	voip-ext user set 2001@near.example active=false
	none 2001@near.example "false	exact	2001	its user is inactive: 2001"
	voip-ext set 2001@near.example active=false
	[[ $(rows 2001@near.example 2>&1) == *"the extension is inactive"* ]]
	voip-ext domain set near.example active=false
	[[ $(rows 2001@near.example 2>&1) == *"the domain is inactive"* ]]
}
