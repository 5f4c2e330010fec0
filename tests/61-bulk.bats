#!/usr/bin/env bats
# voip-ext export and apply: files of many rows.
# shellcheck disable=SC2154,SC2030,SC2031 # each test is a subshell

load helper

setup_file() {
	clone_db
	export PGUSER=voip_ext
	secret=$(mktemp -d)
	export secret VOIP_SECRET_KEY_FILE=$secret/key
	(umask 077 && printf '%064d\n' 7 >"$secret/key")
	voip-ext domain add pbx.example.com
	voip-ext add 1001@pbx.example.com password='a&<>"' full_name="Zoé O'N \$\${}"
	voip-ext trunk add carrier host=192.0.2.1 password=geheim
	voip-ext queue add 'a@b/c@pbx.example.com'
	voip-ext add 500@pbx.example.com queue='a@b/c@pbx.example.com'
}

teardown_file() {
	drop_db
	rm -rf "$secret"
}

# A database connection that may see all, for looking behind the program.
look() {
	PGUSER=postgres sql "$1"
}

@test "export writes each entity after those that it points to" {
	run -0 voip-ext export
	grep -o '^{"entity":"[a-z]*"' <<<"$output" | uniq >"$BATS_TEST_TMPDIR/order"
	for pair in domain:user user:extension queue:extension trunk:extension; do
		first=$(grep -n "\"${pair%:*}\"" "$BATS_TEST_TMPDIR/order" | cut -d: -f1)
		second=$(grep -n "\"${pair#*:}\"" "$BATS_TEST_TMPDIR/order" | cut -d: -f1)
		[ "$first" -lt "$second" ]
	done
	[[ $output == *'{"entity":"extension","key":"500@pbx.example.com","type":"queue","user":null,"queue":"a@b/c@pbx.example.com",'* ]]
	[[ $output != *created_at* ]]
}

@test "export leaves secrets out, and with --secrets writes what is kept" {
	run -0 voip-ext export
	[[ $output != *ha1* && $output != *password* && $output != *sealed* ]]
	run -0 voip-ext export --secrets
	[[ $output == *"\"ha1\":\"$(look "select ha1 from voip.users")\""* ]]
	[[ $output == *"\"password_sealed\":\"$(look "select replace(encode(password,
		'base64'), E'\n', '') from voip.trunks")\""* ]]
	[[ $output != *geheim* ]]
}

@test "export of a domain holds nothing of another" {
	voip-ext domain add other.example.com
	voip-ext add 1001@other.example.com password=y
	voip-ext trunk add theirs host=192.0.2.2 domain=other.example.com
	run -0 voip-ext export --domain other.example.com
	[ "$(grep -o '"entity":"[a-z]*","key":"[^"]*"' <<<"$output" | sort)" = \
		'"entity":"domain","key":"other.example.com"
"entity":"extension","key":"1001@other.example.com"
"entity":"trunk","key":"theirs"
"entity":"user","key":"1001@other.example.com"' ]
	run -64 voip-ext policy export --domain other.example.com
	[[ $output == *"'policy' is not of a domain"* ]]
}

@test "export as csv is of one entity" {
	run -64 voip-ext export -f csv
	run -64 voip-ext export -f tsv
	run -0 voip-ext queue export -f csv
	[ "${lines[0]%%,*}" = key ]
	[[ ${lines[1]} == a@b/c@pbx.example.com,,longest-idle-agent,* ]]
}

@test "what was exported changes nothing when applied, with and without secrets" {
	before=$(look 'select count(*) from voip.audit')
	for secrets in '' --secrets; do
		voip-ext export $secrets >"$BATS_TEST_TMPDIR/all"
		run -0 voip-ext apply "$BATS_TEST_TMPDIR/all"
		[[ $output == "nothing to change"* ]]
	done
	[ "$(look 'select count(*) from voip.audit')" = "$before" ]
}
