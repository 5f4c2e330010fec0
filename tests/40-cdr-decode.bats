#!/usr/bin/env bats
# What bodies become, from the queue's bytes to the row: the unit program cdr
# has the details.

load helper

setup_file() {
	clone_db
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_cdr_flush"
}

teardown_file() {
	drop_db
}

setup() {
	sql 'truncate voip.cdr_queue, voip.cdr, voip.cdr_dead'
}

# enqueue FILE: its bytes, whatever they are.
enqueue() {
	sql "insert into voip.cdr_queue (body) values
		('\\x$(od -An -v -tx1 "$1" | tr -d ' \n')')"
}

# body FILE: of a captured request.
body() {
	sed '1,/^\r$/d' "tests/data/freeswitch/$1"
}

@test "a CDR reads the same from FreeSWITCH's file as from its request" {
	local file=$BATS_TEST_TMPDIR/body name
	for name in cdr-form cdr-base64; do
		body "$name/busy-aleg.http" >"$file"
		enqueue "$file"
		sed 's/^cdr=//' "$file" >"$file.cut"
		echo >>"$file.cut"
		enqueue "$file.cut"
	done
	run -0 voip-cdr-flush
	[ "$output" = 'stored 2, duplicate 2, dead 0' ]
}

@test "a name that is not UTF-8 is kept as Latin-1, and the row says so" {
	local file=$BATS_TEST_TMPDIR/body
	body cdr-json-rawvalues/latin1_name-aleg.http >"$file"
	enqueue "$file"
	run -0 voip-cdr-flush
	run -0 sql 'select caller_name, repaired from voip.cdr'
	[ "$output" = 'René Müller	t' ]
}

@test "a display name cannot forge another uuid, time or tenant" {
	local file=$BATS_TEST_TMPDIR/body evil
	evil='x%22,%22uuid%22%3A%22forged%22,%22domain_name%22%3A%22victim%22'
	evil+=',%22start_uepoch%22%3A%221700000000000000%22'
	# every copy of the name, where encode=true leaves %22 as it is
	body cdr-form/answered-bleg.http |
		sed "s/Alice%20Liddell/$evil/g" >"$file"
	run -0 grep -c forged "$file"
	enqueue "$file"
	run -0 voip-cdr-flush
	[ "$output" = 'stored 1, duplicate 0, dead 0' ]
	body cdr-form/answered-bleg.http >"$file"
	enqueue "$file"
	run -0 voip-cdr-flush
	[ "$output" = 'stored 0, duplicate 1, dead 0' ]
	run -0 sql 'select domain from voip.cdr'
	[ "$output" = pbx.example.com ]
}

@test "a body of mod_xml_cdr becomes a dead letter that says so" {
	local file=$BATS_TEST_TMPDIR/body
	body xmlcdr/busy-aleg.http >"$file"
	enqueue "$file"
	run -0 voip-cdr-flush
	[ "${lines[-1]}" = 'stored 0, duplicate 0, dead 1' ]
	run -0 sql "select reason ~ '^the body is XML, of mod_xml_cdr'
		from voip.cdr_dead"
	[ "$output" = t ]
}
