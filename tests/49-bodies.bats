#!/usr/bin/env bats
# Bodies that are no CDR, in the manner of JSONTestSuite: what is refused, what
# becomes a dead letter, and that nothing stops.
# shellcheck disable=SC2154,SC2030,SC2031

load helper

setup_file() {
	clone_db
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_ingest"
}

teardown_file() {
	drop_db
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	sql 'truncate voip.cdr_queue, voip.cdr_dead, voip.cdr'
	folder=$BATS_TEST_TMPDIR/bodies
	mkdir "$folder"
	export VOIP_CDR_SPOOL_DIR=$BATS_TEST_TMPDIR/spool
	log=$BATS_TEST_TMPDIR/log
	voip-cdr-ingest --listen 127.0.0.1:0 3>&- 4>&- </dev/null \
		>"$log" 2>&1 &
	pid=$!
	wait_for grep -q 'listening on' "$log"
	address=$(sed -n 's/.*listening on \([^ ]*\).*/\1/p' "$log" | head -n 1)
}

teardown() {
	stop_process "$pid"
}

# NAME BODY on each line of standard input, as printf %b takes it, into files.
write_bodies() {
	local name body

	while IFS=$'\t' read -r name body; do
		printf %b "$body" >"$folder/$name"
	done
}

# repeated COUNT TEXT
repeated() {
	head -c "$1" /dev/zero | sed "s/\\x0/$2/g"
}

# post_all QUERY: `NAME STATUS` of each file, in $statuses; the answers are in
# NAME.answer.
post_all() {
	local file
	for file in "$folder"/*; do
		printf 'next\nurl = "http://%s/fs/cdr%s"\n' "$address" \
			"${1//NAME/${file##*/}}"
		printf 'data-binary = "@%s"\noutput = "%s.answer"\n' "$file" \
			"$BATS_TEST_TMPDIR/${file##*/}"
		printf 'write-out = "%s %%{http_code}\\n"\n' "${file##*/}"
		printf 'header = "Expect:"\nsilent\nshow-error\n'
	done | sed 1d >"$BATS_TEST_TMPDIR/curl"
	statuses=$(curl -K "$BATS_TEST_TMPDIR/curl")
}

# Each that has another status than $1.
others() {
	grep -v " $1\$" <<<"$statuses" || :
}

# A good CDR is taken by the process that was there from the start.
goes_on() {
	kill -0 "$pid"
	run -0 curl -sS -d '{"variables":{"uuid":"good","start_uepoch":"'"$(
		date +%s)"'000000"}}' "http://$address/fs/cdr?uuid=good"
	[ "$output" = '{"status":"queued"}' ]
}

# What can be no CDR, whatever one makes of it.
never_records() {
	write_bodies <<'BODIES'
empty	
space	  \r\n\t 
null	null
true	true
false	false
number	42
number_minus	-
number_leading_zero	012
number_hex	0x42
number_huge	1e9999999
number_infinity	Infinity
number_nan	NaN
string	"asd"
string_unclosed	"asd
string_single	'asd'
string_escape	"\\x00"
array	[]
array_unclosed	[1
array_trailing_comma	[1,]
array_double_comma	[1,,2]
array_comma	[,1]
array_colon	["a":1]
array_of_record	[{"variables":{"uuid":"u","start_uepoch":"1795227092281418"}}]
object	{}
object_unclosed	{
object_comma	{,}
object_trailing_comma	{"a":0,}
object_double_colon	{"a"::0}
object_no_colon	{"a" 0}
object_no_value	{"a":}
object_no_key	{:0}
object_bare_key	{a:0}
object_single_quotes	{'a':0}
object_comment	{"a":0/**/}
object_unclosed_comment	{"a":0/*
object_garbage	{"a":0}#
object_two	{"a":0}{"b":1}
object_close	{"a":0}}
object_bracket	{"a":[}]
object_number_key	{1:1}
object_null_key	{null:null}
close	}
bracket	]
comma	,
quote	"
bom	\xef\xbb\xbf
bom_object	\xef\xbb\xbf{}
bom_half	\xef\xbb{}
bom_utf16	\xff\xfe{\x00}\x00
utf16	\x00{\x00"\x00a\x00"\x00:\x000\x00}
nul	\x00
nul_object	{\x00}
bytes	\xff\xfe\xfd
utf8_lone	\xe9
utf8_overlong	{"\xc0\xaf":0}
utf8_surrogate	{"\xed\xa0\x80":0}
surrogate	{"\\ud800":0}
surrogates	{"\\udc00\\ud800":0}
escape_half	{"a":"\\u00
escape_end	{"a":"\\
escape_unknown	{"a":"\\q"}
control	{"a":"\x01\x1f"}
variables_null	{"variables":null}
variables_array	{"variables":[]}
variables_string	{"variables":"uuid"}
variables_number	{"variables":0}
variables_empty	{"variables":{}}
variables_unclosed	{"variables":{
variables_twice	{"variables":{"uuid":"u"},"variables":{}}
uuid_only	{"variables":{"uuid":"u"}}
uuid_empty	{"variables":{"uuid":"","start_uepoch":"1795227092281418"}}
uuid_null	{"variables":{"uuid":null,"start_uepoch":"1795227092281418"}}
uuid_object	{"variables":{"uuid":{},"start_uepoch":"1795227092281418"}}
uuid_array	{"variables":{"uuid":["u"],"start_uepoch":"1795227092281418"}}
uuid_true	{"variables":{"uuid":true,"start_uepoch":"1795227092281418"}}
uuid_outside	{"uuid":"u","start_uepoch":"1795227092281418"}
start_only	{"variables":{"start_uepoch":"1795227092281418"}}
start_zero	{"variables":{"uuid":"u","start_uepoch":"0"}}
start_text	{"variables":{"uuid":"u","start_uepoch":"yesterday"}}
start_minus	{"variables":{"uuid":"u","start_uepoch":"-1795227092281418"}}
start_huge	{"variables":{"uuid":"u","start_uepoch":"99999999999999999999"}}
start_float	{"variables":{"uuid":"u","start_uepoch":"1795227092281418.5"}}
start_object	{"variables":{"uuid":"u","start_uepoch":{"a":"1795227092281418"}}}
xml	<?xml version="1.0"?><cdr><variables/></cdr>
xml_form	cdr=%3C%3Fxml%20version%3D%221.0%22%3F%3E%3Ccdr/%3E
xml_base64	cdr=PD94bWwgdmVyc2lvbj0iMS4wIj8+
html	<html><script>alert(1)</script>
form	uuid=u&start=1
form_empty	cdr=
form_object	cdr=%7B%7D
form_half	cdr=%7B%22variables%22%3A%7B%22uuid
form_percent	cdr=%7B%
form_percent_end	cdr=%7B%2
form_percent_bad	cdr=%7B%zz%7D
form_nul	cdr=%7B%00%7D
base64	cdr=eyJhIjowfQ==
base64_short	cdr=eyJ
base64_bad	cdr=eyJ2YXJp*YWJsZXMi
base64_padding	cdr=ey====
base64_control	cdr=eyJ\x01\x02
sql	'; drop table voip.cdr; --
yaml	variables:\n  uuid: u
csv	uuid,start\nu,1795227092281418
BODIES
	repeated 100000 '[' >"$folder/deep_array"
	repeated 100000 '{"a":' >"$folder/deep_object"
	{
		printf '{"variables":{"uuid":"u","x":'
		repeated 100000 '['
	} >"$folder/deep_value"
	{
		printf '{"variables":{"uuid":'
		repeated 300 '{"uuid":'
		printf '"u"'
		repeated 302 '}'
	} >"$folder/deep_uuid"
	{
		printf '{"variables":{"uuid":"'
		repeated 257 u
		printf '","start_uepoch":"1795227092281418"}}'
	} >"$folder/uuid_long"
	head -c 65536 /dev/urandom | tr -d 'e{%<c \r\n\t' >"$folder/noise"
	repeated 1048576 ' ' >"$folder/much_space"
	repeated 1000000 '9' >"$folder/long_number"
}

# Records with a uuid and a time, and values as these in other fields.
values() {
	write_bodies <<'VALUES'
good_text	"text"
good_escapes	"\\"\\\\\\/\\b\\f\\n\\r\\t"
good_unicode	"\\u00e9 \\u20ac \\ud83d\\ude00"
good_utf8	"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"
good_nul	"a\\u0000b"
good_noncharacter	"\\uffff"
good_number	-0.5e-10
good_integer	12345678901234567890
good_empty	""
good_null	null
good_array	[1,[2,{"a":[]}],"3"]
good_object	{"":{"variables":{"uuid":"another"}}}
good_space	 \r\n\t1 
bare	text
number_zero	01
number_dot	1.
number_plus	+1
number_sign	--1
number_exponent	1e
number_hex	0x1
number_huge	1e99999
number_nan	NaN
single_quotes	'a'
string_control	"a\x01\x1f\tb"
string_line	"a\nb"
string_nul	"a\x00b"
string_latin1	"caf\xe9"
string_overlong	"\xc0\xaf"
string_surrogate	"\xed\xa0\x80"
string_escape	"\\x"
string_half	"\\u12"
string_surrogates	"\\ud800"
string_quote	"a"b"
string_open	"a
array_open	[1
array_comma	[1,]
array_close	1]
object_open	{"a":1
object_comma	{"a":1,}
object_key	{a:1}
object_close	1}
comment	1/**/
nothing	
comma	,
colon	:
brackets	]]]]
braces	}}}}
markup	"<script>&amp;%3Cx%3E"
sql	"'); drop table voip.cdr; --"
copy	"\\\\.\\n\\\\N\\t"
VALUES
	for file in "$folder"/*; do
		{
			printf '{"variables":{"uuid":"%s","start_uepoch":' \
				"${file##*/}"
			printf '"%s000000","context":' "$(date +%s)"
			cat "$file"
			printf ',"caller_id_name":'
			cat "$file"
			printf '}}'
		} >"$file.cdr"
		mv "$file.cdr" "$file"
	done
}

@test "what can be no record is refused with the reason, and nothing stops" {
	never_records
	post_all ''
	[ "$(wc -l <<<"$statuses")" -ge 100 ]
	[ -z "$(others 400)" ]
	run -0 jq -r 'select(.status == "error") | .message | split("\n")[0]' \
		"$BATS_TEST_TMPDIR"/*.answer
	[ "${#lines[@]}" -eq "$(wc -l <<<"$statuses")" ]
	[ "$(grep -cvE '^the body is |CDR' <<<"$output")" -eq 0 ]
	[ "$(sql 'select count(*) from voip.cdr_dead')" -eq 0 ]
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq 0 ]
	goes_on
}

@test "with ?uuid= the same is set aside once, byte for byte, with the reason" {
	never_records
	post_all '?uuid=a_NAME'
	[ -z "$(others 202)" ]
	post_all '?uuid=a_NAME'
	[ -z "$(others 202)" ]
	for file in "$folder"/*; do
		printf '%s %s\n' "${file##*/}" \
			"$(sha256sum <"$file" | cut -d ' ' -f 1)"
	done | sort >"$BATS_TEST_TMPDIR/sent"
	sql "select query_uuid || ' ' || encode(sha256(body), 'hex')
		from voip.cdr_dead where reason <> ''" | sort \
		>"$BATS_TEST_TMPDIR/kept"
	run -0 diff "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/kept"
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq 0 ]
	goes_on
}

@test "a record with one broken value is stored or a dead letter, never stuck" {
	values
	post_all '?uuid=NAME'
	[ -z "$(others 202)" ]
	goes_on
	VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_flush" run -0 voip-cdr-flush
	[ "$(sql 'select count(*) from voip.cdr_queue')" -eq 0 ]
	sql "select leg_uuid from voip.cdr union all
		select query_uuid from voip.cdr_dead" | sort \
		>"$BATS_TEST_TMPDIR/kept"
	{
		basename -a "$folder"/*
		echo good
	} | sort >"$BATS_TEST_TMPDIR/sent"
	run -0 diff "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/kept"
	[ "$(sql "select count(*) from voip.cdr_dead
		where query_uuid ~ '^good'")" -eq 0 ]
}

@test "more than 1 MiB is refused, announced or not, with ?uuid= and without" {
	local query
	head -c 1048577 /dev/zero | tr '\0' ' ' >"$folder/large"
	for query in '' '?uuid=large'; do
		run -0 curl -sS -o /dev/null -w '%{http_code}' -H Expect: \
			--data-binary @"$folder/large" \
			"http://$address/fs/cdr$query"
		[ "$output" = 413 ]
		run -0 curl -sS -o /dev/null -w '%{http_code}' -H Expect: \
			-X POST -T - "http://$address/fs/cdr$query" \
			<"$folder/large"
		[ "$output" = 413 ]
	done
	[ "$(sql 'select count(*) from voip.cdr_dead')" -eq 0 ]
	goes_on
}
