#!/usr/bin/env bats
# Whatever a tenant's row holds, even what the schema's checks would refuse:
# it reaches FreeSWITCH's parser as data, and nothing else.
# shellcheck disable=SC2154,SC2016

bats_require_minimum_version 1.5.0
load dirxml

setup_file() {
	dirxml_setup
	psql -Xq -c "do \$\$
		declare c record;
		begin
			for c in select conname, conrelid::regclass as t
				from pg_constraint where contype = 'c' and conrelid in
				('voip.users'::regclass, 'voip.groups'::regclass,
				'voip.domains'::regclass)
			loop
				execute format('alter table %s drop constraint %I',
					c.t, c.conname);
			end loop;
		end \$\$"
}

teardown_file() {
	dirxml_teardown
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

set_name() {
	psql -Xq -v name="$1" <<<"update voip.users
		set full_name = :'name', accountcode = :'name',
		user_agent_filter = :'name', ha1 = :'name'
		where username = '1001'"
}

name_seen() {
	voip-dirxml --user 1001@pbx.example.com >"$BATS_TEST_TMPDIR/answer"
	parsed <"$BATS_TEST_TMPDIR/answer"
	[ "$(seen 'count(//user)')" = 1 ]
	[ "$(seen 'count(//variable)')" = 7 ]
	[ "$(seen 'count(//user/params/param)')" = 2 ]
	[ "$(seen '//variable[@name="accountcode"]/@value')" = "$1" ]
	[ "$(seen '//param[@name="a1-hash"]/@value')" = "$1" ]
	[ "$(seen '//param[@name="user-agent-filter"]/@value')" = "$1" ]
	[ "$(seen '//variable[@name="effective_caller_id_name"]/@value')" = "$1" ]
}

@test "markup in a name comes back as it was written" {
	local name
	for name in ']]>' '<![CDATA[x]]>' 'a & b &amp; &lt;' '"quoted"' "it's" \
		'<user id="1002"/>' '"/></params><params><param name="x' \
		'<!-- x -->' '<!--#exec "touch /tmp/x"-->' \
		'<?xml version="1.0"?>' '<include>' '</include>' '&#0;&#36;'; do
		echo "$name"
		set_name "$name"
		name_seen "$name"
	done
}

@test "a pre-processor line in a name is no line and no command" {
	local name
	for name in '<X-PRE-PROCESS cmd="exec" data="touch /tmp/x"/>' \
		'<x-pre-process cmd="set" data="a=b"/>' 'X-Pre-Process' \
		$'line\n<X-PRE-PROCESS cmd="include" data="/etc/passwd"/>\nline'; do
		echo "$name"
		set_name "$name"
		name_seen "$name"
	done
}

@test "an expansion in a name is harmless before the parser and after it" {
	local row name want
	for row in '$${domain}|$%{domain}' '${system(id)}|%{system(id)}' \
		'a ${b ${c}} d|a %{b %{c}} d' '$\{x}|%\{x}' '$5, $$ and $|$5, $$ and $' \
		'$$${x}|$$%{x}' '&<>"'\''$${}|&<>"'\''$${}' '${}{id}|%{}{id}'; do
		name=${row%%|*} want=${row#*|}
		echo "$name"
		set_name "$name"
		name_seen "$want"
		run -1 grep -F '$${' "$BATS_TEST_TMPDIR/answer"
	done
}

@test "newlines, tabs, emoji and wide characters come back as they were" {
	local name
	for name in $'a\r\nb\tc' $'\n\nlead' 'Žluťoučký kůň' '📞🏴 ☎️' '日本語' \
		$'nbsp\u00a0' $'\u202eright'; do
		set_name "$name"
		name_seen "$name"
	done
}

@test "control characters become U+FFFD" {
	set_name $'a\001b\033c'
	name_seen $'a\ufffdb\ufffdc'
}

@test "a name of a hundred thousand characters is one attribute" {
	local name
	name=$(head -c 100000 /dev/zero | tr '\0' '<')
	psql -Xq -c "update voip.users
		set full_name = repeat('<', 100000) where username = '1001'"
	voip-dirxml --user 1001@pbx.example.com >"$BATS_TEST_TMPDIR/answer"
	parsed <"$BATS_TEST_TMPDIR/answer"
	[ "$(seen '//variable[@name="effective_caller_id_name"]/@value')" = "$name" ]
}

@test "the spelling of a group and a domain is the one that was asked" {
	psql -Xq -c "update voip.groups
		set name = '<g>\"\${x}' where name = 'sales'"
	voip-dirxml --group '<g>"${x}@PBX.EXAMPLE.com' >"$BATS_TEST_TMPDIR/answer"
	parsed <"$BATS_TEST_TMPDIR/answer"
	[ "$(seen '//domain/@name')" = PBX.EXAMPLE.com ]
	[ "$(seen '//group/@name')" = '<g>"${x}' ]
}

@test "names that no row can have are not found, whatever bytes they are" {
	local user
	for user in "1001'--" '1001%00' '%ff%fe' '%00' '..%2f..' '$%7bx%7d' \
		'%0a1001' '<x>' "$(head -c 5000 /dev/zero | tr '\0' 1)"; do
		run -1 --separate-stderr voip-dirxml < <(printf 'section=directory&key_value=pbx.example.com&action=sip_auth&user=%s' "$user")
		[ "$output" = "$(cat tests/data/freeswitch/responses/notfound.xml)" ]
	done
	run -1 voip-dirxml < <(printf 'section=directory&key_value=pbx.example.com&group=%%e9')
	run -1 voip-dirxml < <(printf 'section=directory&key_value=a\xe9b.example&user=1')
}
