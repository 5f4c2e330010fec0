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

entities() {
	run -64 voip-ext nonsense
	sed -n 's/.*entities: \(.*\); verbs.*/\1/p' <<<"$output" | tr ' ' '\n'
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

# NUMBER NAME: one row of each entity, with a name that is hard to carry.
rich() {
	jq -cn --arg i "$1" --arg n "$2" --arg d "rich$1.example.com" '
	def at($k): $k + "@" + $d;
	{entity: "domain", key: $d, tenant_name: $n, max_calls: 7},
	{entity: "policy", key: $n, retention_days: 3},
	{entity: "node", key: "sip:192.0.2.7:5060", set_id: 1, description: $n},
	{entity: "address", key: "192.0.2.0/24", tag: $n},
	{entity: "key", key: $n, domain: $d, permissions: {cdr: "read"},
		expires_at: "2031-01-31T18:00Z", hash: ("0" * 63 + $i)},
	{entity: "user", key: at("alice"), full_name: $n, password: $n,
		accountcode: $n, email: "a@example.com",
		cidr: ["192.0.2.0/25", "2001:db8::/32"],
		reverse_auth_user: "x", reverse_auth_pass: $n},
	{entity: "group", key: at($n), description: $n},
	{entity: "groupmember", key: at($n + "/alice"), position: 4},
	{entity: "queue", key: at($n), extension: "500", record: true, music: $n},
	{entity: "member", key: at($n + "/alice"), tier: 2},
	{entity: "ivr", key: at($n), extension: "600", greeting_sound: $n},
	{entity: "entry", key: at($n + "/1"), action: "transfer", action_data: $n},
	{entity: "voicemail", key: at("700"), pin: "1234", email: "v@example.com"},
	{entity: "conference", key: at("800"), pin: "1", moderator_pin: "2"},
	{entity: "trunk", key: ("rich" + $i), host: "192.0.2.9", password: $n,
		domain: $d, username: $n},
	{entity: "admin", key: ("tenant" + $i), domain: $d},
	{entity: "emergency", key: ("11" + $i), trunk: ("rich" + $i), description: $n},
	{entity: "extension", key: at("alice"), user: "alice", description: $n},
	{entity: "extension", key: at("500"), queue: at($n)},
	{entity: "extension", key: at("600"), ivr: at($n), recording_policy: $n},
	{entity: "extension", key: at("700"), voicemail: "700"},
	{entity: "extension", key: at("800"), conference: "800"},
	{entity: "extension", key: at("0XXXXXXXXX"), trunk: ("rich" + $i),
		service_ref: {x: 1.1, n: $n}}'
}

@test "every entity comes back as it was, whatever its names hold" {
	local place=0 hard

	# shellcheck disable=SC2016 # FreeSWITCH's words, not the shell's
	for hard in '&<>"'\''$${x}' '<X-PRE-PROCESS cmd="set"/> ${y}' \
		'Zoë @ a/b, "Ω" \n 🦊' "back\\slash \\N \\."; do
		place=$((place + 1))
		rich "$place" "$hard" >"$BATS_TEST_TMPDIR/rich"
		voip-ext apply "$BATS_TEST_TMPDIR/rich"
		run -0 voip-ext apply "$BATS_TEST_TMPDIR/rich"
		[ "$output" = "nothing to change (23 rows)" ]
		voip-ext export --secrets >"$BATS_TEST_TMPDIR/all"
		before=$(look 'select count(*) from voip.audit')
		run -0 voip-ext apply "$BATS_TEST_TMPDIR/all"
		[[ $output == "nothing to change"* ]]
		[ "$(look 'select count(*) from voip.audit')" = "$before" ]
		jq -r --arg key "alice@rich$place.example.com" \
			'select(.key == $key).full_name // empty' <"$BATS_TEST_TMPDIR/all" >"$BATS_TEST_TMPDIR/name"
		[ "$(cat "$BATS_TEST_TMPDIR/name")" = "$hard" ]
		[ "$(look "select ha1 from voip.users where username = 'alice'
			order by id desc limit 1")" = \
			"$(printf %s "alice:rich$place.example.com:$hard" | md5sum | cut -d' ' -f1)" ]
	done
	for entity in $(entities); do
		grep -q "^{\"entity\":\"$entity\"," "$BATS_TEST_TMPDIR/all" || {
			echo "$entity is not in the export"
			return 1
		}
	done
}

# The attribute VALUE of what FreeSWITCH's parser sees of 1900's answer.
told() {
	PGUSER=voip_dirxml voip-dirxml --user 1900@pbx.example.com |
		fs-preprocess >"$BATS_TEST_TMPDIR/seen"
	xmllint --xpath "string(//*[@name='$1']/@value)" "$BATS_TEST_TMPDIR/seen"
}

@test "any password and name survive add, export, apply and the XML" {
	local hash password
	# shellcheck disable=SC2016 # FreeSWITCH's words, not the shell's
	local name='&<>"'\''$${} <X-PRE-PROCESS cmd="exec" data="id"/> Zoë 🦊'

	printf -v password '\\x%x' {32..126}
	printf -v password '%b' "$password"
	[ "${#password}" = 95 ]
	hash=$(printf '%s' "1900:pbx.example.com:$password" | md5sum | cut -d' ' -f1)
	voip-ext add 1900@pbx.example.com password=- full_name="$name" <<<"$password"
	voip-ext export --secrets | grep '"1900@' >"$BATS_TEST_TMPDIR/one"
	[ "$(told a1-hash)" = "$hash" ]
	[ "$(told effective_caller_id_name)" = "$name" ]
	voip-ext rm 1900@pbx.example.com
	run -0 voip-ext apply "$BATS_TEST_TMPDIR/one"
	[ "$output" = "2 added, 0 changed, 0 removed, 0 unchanged" ]
	[ "$(told a1-hash)" = "$hash" ]
	[ "$(told effective_caller_id_name)" = "$name" ]
	[ "$(voip-ext user show 1900@pbx.example.com -f json | jq -r '.. | .full_name? // empty')" = "$name" ]
	voip-ext rm 1900@pbx.example.com
}

@test "another database gets the same rows from the file" {
	local here=$PGDATABASE

	voip-ext export --secrets >"$BATS_TEST_TMPDIR/all"
	PGUSER=postgres clone_db bulk_other
	run -0 voip-ext apply "$BATS_TEST_TMPDIR/all"
	voip-ext export --secrets >"$BATS_TEST_TMPDIR/again"
	PGUSER=postgres drop_db
	export PGDATABASE=$here VOIP_DATABASE=dbname=$here
	diff <(sort "$BATS_TEST_TMPDIR/all") <(sort "$BATS_TEST_TMPDIR/again")
}

@test "each entity's CSV changes nothing when applied" {
	for entity in $(entities); do
		voip-ext "$entity" export -f csv --secrets >"$BATS_TEST_TMPDIR/$entity.csv"
		run -0 voip-ext "$entity" apply - <"$BATS_TEST_TMPDIR/$entity.csv"
		[[ $output == "nothing to change"* ]]
	done
}

@test "a field that a line does not have is left alone, null empties it" {
	voip-ext user add field@pbx.example.com email=a@example.com role=admin
	run -0 voip-ext apply - <<<'{"entity":"user","key":"field@pbx.example.com","email":null}'
	[ "$output" = "0 added, 1 changed, 0 removed, 0 unchanged" ]
	[ "$(look "select email is null, role from voip.users where username = 'field'")" = $'t\tadmin' ]
	run -0 voip-ext apply - <<<'{"entity":"user","key":"field@pbx.example.com","role":""}'
	[ "$(look "select role from voip.users where username = 'field'")" = agent ]
}

@test "a dry run shows what would be done field by field, and does nothing" {
	cat >"$BATS_TEST_TMPDIR/plan" <<-END
	{"entity":"user","key":"1001@pbx.example.com","full_name":"New","password":"other"}
	{"entity":"queue","key":"dry@pbx.example.com","strategy":"random"}
	END
	before=$(voip-ext export --secrets)
	run -0 voip-ext apply --dry-run "$BATS_TEST_TMPDIR/plan"
	[ "$output" = "~ change user '1001@pbx.example.com'
~     full_name: 'Zoé O'N \$\${}' -> 'New'
~     password: '********' -> '********'
+ add queue 'dry@pbx.example.com'
+     strategy: 'random'
1 to add, 1 to change, 0 to remove, 0 unchanged" ]
	run -0 voip-ext apply --dry-run -f tsv "$BATS_TEST_TMPDIR/plan"
	[ "${lines[1]}" = $'change\tuser\t1001@pbx.example.com\tfull_name\tZoé O\'N $${}\tNew' ]
	[ "$before" = "$(voip-ext export --secrets)" ]
}

@test "prune removes what the file lacks, in its domains only" {
	voip-ext domain add prune.example.com
	voip-ext domain add keep.example.com
	for number in 1 2 3; do
		voip-ext queue add "$number@prune.example.com"
		voip-ext queue add "$number@keep.example.com"
	done
	line='{"entity":"queue","key":"1@prune.example.com"}'
	run -0 voip-ext apply - <<<"$line"
	[ "$output" = "nothing to change (1 row)" ]
	run -65 voip-ext apply --prune - <<<"$line"
	[[ $output == *"of which the file holds nothing"* ]]
	run -0 voip-ext apply --prune --dry-run -d prune.example.com - <<<"$line"
	[ "$output" = "- remove queue '2@prune.example.com'
- remove queue '3@prune.example.com'
0 to add, 0 to change, 2 to remove, 1 unchanged" ]
	run -0 voip-ext apply --prune -d prune.example.com - <<<"$line"
	[ "$output" = "0 added, 0 changed, 2 removed, 1 unchanged" ]
	[ "$(look "select count(*) from voip.queues as q join voip.domains as d
		on d.id = q.domain_id where d.domain = 'keep.example.com'")" = 3 ]
	voip-ext export --domain keep.example.com >"$BATS_TEST_TMPDIR/keep"
	voip-ext add 1@keep.example.com queue=3
	run -1 voip-ext apply --prune -d keep.example.com - \
		<<<'{"entity":"queue","key":"1@keep.example.com"}'
	[[ $output == *"queue '3@keep.example.com' is in use by extension '1@keep.example.com'"* ]]
	run -65 voip-ext apply --prune -d keep.example.com - <<<"$line"
	[[ $output == *"it is not of domain 'keep.example.com'"* ]]
	run -65 voip-ext apply --prune /dev/null
	run -64 voip-ext apply --prune --partial --rejects "$BATS_TEST_TMPDIR/r" /dev/null
}

@test "two queues may change their numbers in one file" {
	voip-ext queue add left@pbx.example.com extension=901
	voip-ext queue add right@pbx.example.com extension=902
	run -0 voip-ext apply - <<-END
	{"entity":"queue","key":"left@pbx.example.com","extension":"902"}
	{"entity":"queue","key":"right@pbx.example.com","extension":"901"}
	END
	[ "$output" = "0 added, 2 changed, 0 removed, 0 unchanged" ]
	run -65 voip-ext apply - <<<'{"entity":"queue","key":"left@pbx.example.com","extension":"901"}'
	[[ $output == *"line 1: queue 'left@pbx.example.com': another has this 'extension' already"* ]]
}

# Lines with each sort of mistake, and one that is right.
mistakes() {
	cat <<-END
	{"entity":"extension","key":"1002@pbx.example.com","password":"x","nope":1}
	{"entity":"domain","key":"A.example.com"}
	{"entity":"user","key":"twice@pbx.example.com"}
	{"entity":"user","key":"twice@pbx.example.com","email":"x@example.com"}
	{"entity":"member","key":"none/twice@pbx.example.com"}
	{"entity":"extension","key":"501@pbx.example.com","type":"user"}
	{"entity":"extension","key":"502@pbx.example.com","user":"nobody"}
	{"entity":"trunk","key":"hostless"}
	{"entity":"trunk","key":"a b","host":"x"}
	{"entity":"nope","key":"x"}
	{"key":"x"}
	{"entity":"user"}
	{"entity":"user","key":"a@pbx.example.com","role":"agent","role":"admin"}
	garbage geheim
	{"entity":"user","key":"a@pbx.example.com","password":"random"}
	{"entity":"user","key":"a@pbx.example.com","ha1":"$(printf %032d 1)"}
	{"entity":"user","key":"a@pbx.example.com","created_at":"2020-01-01"}
	{"entity":"trunk","key":"sealed","host":"x","password_sealed":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	END
	printf '{"entity":"user","key":"\xff@pbx.example.com"}\n'
	printf '{"entity":"user","key":"nul\0@pbx.example.com"}\n'
	printf '{"entity":"user","key":"%01100000d@pbx.example.com"}\n' 1
}

@test "each line that is wrong is told, and nothing is changed" {
	mistakes >"$BATS_TEST_TMPDIR/bad"
	before=$(voip-ext export --secrets)
	run -65 voip-ext apply "$BATS_TEST_TMPDIR/bad"
	while read -r expected; do
		grep -qF "voip-ext: $expected" <<<"$output" || {
			echo "missing: $expected"
			return 1
		}
	done <<-'END'
	line 1: extension '1002@pbx.example.com': 'extension' has no field 'nope'
	line 2: domain 'A.example.com': 'A' is not allowed in domain
	line 4: user 'twice@pbx.example.com': it is on line 3 already
	line 5: member 'none/twice@pbx.example.com': queue 'none@pbx.example.com' does not exist
	line 6: extension '501@pbx.example.com': type 'user' has a user, and no other type has one (set type
	line 7: extension '502@pbx.example.com': field 'user': user 'nobody@pbx.example.com' does not exist
	line 8: trunk 'hostless': needs the field 'host'
	line 9: trunk 'a b':
	line 10: 'nope' is no entity
	line 11: no member 'entity'
	line 12: no member 'key'
	line 13: not JSON: duplicate object key
	line 14: not JSON
	line 15: user 'a@pbx.example.com': 'random' is for the command line
	line 16: user 'a@pbx.example.com': 'ha1' and 'ha1b' belong together
	line 17: user 'a@pbx.example.com': field 'created_at' cannot be written
	line 18: trunk 'sealed': 'trunks.password:sealed' was sealed with another key or name
	line 19: not valid UTF-8
	line 20: a NUL byte in it
	line 21: longer than 1048576 bytes
	nothing is changed: 20 lines of
	END
	[[ $output != *geheim* ]]
	[ "$before" = "$(voip-ext export --secrets)" ]
}

@test "partial takes what is right, and what it rejects can be mended and applied" {
	mistakes | head -n 8 >"$BATS_TEST_TMPDIR/bad"
	rejects=$BATS_TEST_TMPDIR/rejects
	run -64 voip-ext apply --partial "$BATS_TEST_TMPDIR/bad"
	run -65 voip-ext apply --partial --rejects "$rejects" - <"$BATS_TEST_TMPDIR/bad"
	[[ $output == *"1 added, 0 changed, 0 removed, 0 unchanged, 7 rejected"* ]]
	[ "$(stat -c %a "$rejects")" = 600 ]
	[ "$(wc -l <"$rejects")" = 7 ]
	[ "$(jq -r 'select(.key == "hostless").reason' "$rejects")" = "trunk 'hostless': needs the field 'host'" ]
	run -65 voip-ext apply "$rejects"
	jq -c 'select(.key == "hostless") | .host = "192.0.2.44"' "$rejects" |
		voip-ext apply -
	[ "$(voip-ext trunk show hostless --format=jsonl | jq -r .host)" = 192.0.2.44 ]
	# The file of rejects may be the one that is read.
	run -65 voip-ext apply --partial --rejects "$rejects" "$rejects"
	[ "$(jq -r 'select(.key == "502@pbx.example.com").reason' "$rejects")" = \
		"extension '502@pbx.example.com': field 'user': user 'nobody@pbx.example.com' does not exist" ]
	printf 'key,email\r\nok@pbx.example.com,"a@b"\r\nwrong@pbx.example.com,"a,b"\r\n' \
		>"$BATS_TEST_TMPDIR/csv"
	run -65 voip-ext user apply --partial --rejects "$rejects" "$BATS_TEST_TMPDIR/csv"
	[ "$(head -n 1 "$rejects")" = $'key,email,reason\r' ]
	[[ $(tail -n 1 "$rejects") == 'wrong@pbx.example.com,"a,b","user '* ]]
}

@test "what is rejected of a huge line is its beginning" {
	{
		printf '{"entity":"user","key":"huge@pbx.example.com","full_name":"'
		head -c 10000000 /dev/zero | tr '\0' x
		printf '"}\n{"entity":"user","key":"small@pbx.example.com"}\n'
	} >"$BATS_TEST_TMPDIR/huge"
	rejects=$BATS_TEST_TMPDIR/rejects
	run -65 voip-ext apply --partial --rejects "$rejects" "$BATS_TEST_TMPDIR/huge"
	[[ $output == *"1 added, "*"1 rejected"* ]]
	[ "$(stat -c %s "$rejects")" -lt 5000 ]
	[[ $(jq -r .text "$rejects") == '{"entity":"user","key":"huge@'* ]]
	run -65 voip-ext apply "$rejects"
	[[ $output == *"line 1: no member 'entity'"* ]]
}

@test "what is rejected of CSV is applied when it is mended" {
	printf 'key,full_name,email\n%s\n%s\n%s\n%s\n' \
		'c1@pbx.example.com,"a ""b"", c",c@example.com' \
		'c2@pbx.example.com,"a ""b"", c",wrong' \
		'c3@pbx.example.com,"two' 'lines, ""three""",' \
		>"$BATS_TEST_TMPDIR/csv"
	rejects=$BATS_TEST_TMPDIR/rejects
	run -65 voip-ext user apply --partial --rejects "$rejects" "$BATS_TEST_TMPDIR/csv"
	[[ $output == *"1 added, 0 changed, 0 removed, 0 unchanged, 2 rejected"* ]]
	run -65 voip-ext user apply "$rejects"
	[[ $output == *"line 2: user 'c2@"*"line 3: user 'c3@"*"2 lines of"* ]]
	sed -i -e 's/,wrong,/,right@example.com,/' -e 's/"two/"/' "$rejects"
	sed -i -z 's/"\nlines/"lines/' "$rejects"
	run -0 voip-ext user apply "$rejects"
	[ "$output" = "2 added, 0 changed, 0 removed, 0 unchanged" ]
	[ "$(look "select string_agg(full_name, ';' order by username)
		from voip.users where username ~ '^c[123]'")" = \
		'a "b", c;a "b", c;lines, "three"' ]
}

@test "what cannot be cut into fields is rejected whole, and stays refused" {
	rejects=$BATS_TEST_TMPDIR/rejects
	csv=$BATS_TEST_TMPDIR/csv
	printf 'key,full_name\n%s\n%s\0%s\n%s\n%s' 'k1@pbx.example.com,"a"b' \
		'k2@pbx.example.com,nul' ' tail' 'k3@pbx.example.com,fine' \
		'k4@pbx.example.com,"open' >"$csv"
	run -65 voip-ext user apply --partial --rejects "$rejects" "$csv"
	[[ $output == *"1 added, 0 changed, 0 removed, 0 unchanged, 3 rejected"* ]]
	grep -qF '"k1@pbx.example.com,""a""b",text follows' "$rejects"
	grep -qF $'k2@pbx.example.com,nul\xef\xbf\xbd tail' "$rejects"
	grep -qF '"k4@pbx.example.com,""open",a quote is not closed' "$rejects"
	run -65 voip-ext user apply "$rejects"
	[[ $output == *"3 lines of"* ]]
	# Of one column, text and reason would be as many as the names.
	printf 'key\n"k5@pbx.example.com"x\n' >"$csv"
	run -65 voip-ext user apply --partial --rejects "$rejects" "$csv"
	run -65 voip-ext user apply "$rejects"
	[[ $output == *"line 2: 3 fields, but the first line names 2"* ]]
}

@test "a device takes what is rejected and stays a device; a folder is told at once" {
	node=$BATS_TEST_TMPDIR/null
	mknod "$node" c 1 3 || ln -s /dev/null "$node"
	run -65 voip-ext apply --partial --rejects "$node" - <<<'{}'
	[[ $output == *"0 unchanged, 1 rejected"* ]]
	[ -c "$node" ]
	run -71 voip-ext apply --partial --rejects "$BATS_TEST_TMPDIR" - <<<'{}'
	[ "$output" = "voip-ext: cannot write '$BATS_TEST_TMPDIR': Is a directory" ]
	run -71 voip-ext apply --partial --rejects "$node-dir/x" - <<<'{}'
	[ "$output" = "voip-ext: cannot create '$node-dir/x': No such file or directory" ]
}

@test "many new rows are known to the planner before others point to them" {
	look "update pg_class set reltuples = 25 where oid = 'voip.users'::regclass"
	seq -f '{"entity":"extension","key":"%.0f@pbx.example.com","full_name":"many"}' \
		50001 55000 | voip-ext apply --dry-run - >/dev/null
	(("$(look "select reltuples::bigint from pg_class
		where oid = 'voip.users'::regclass")" >= 5000))
	run -1 sql "select voip.refresh_statistics('pg_class')"
	run -1 sql "select voip.refresh_statistics('users; drop table voip.users')"
}

@test "what has no end is an error soon: a line, and lines that are wrong" {
	run -65 timeout 120 voip-ext apply /dev/zero
	[ "$output" = "voip-ext: line 1 of '/dev/zero' has no end after 67108864 bytes: this is no text" ]
	run -65 timeout 120 bash -c 'yes | voip-ext apply -'
	[[ $output == *"... and 9900 more"*"nothing is changed: 10000 lines of '-' are wrong, and the rest was not read" ]]
}

@test "a line of thousands of members, lists or objects is refused" {
	members=$(printf ',"f%d":1' {1..5000})
	list='{"entity":"user","key":"l1@pbx.example.com","full_name":["a","b"]}'
	object='{"entity":"user","key":"l2@pbx.example.com","full_name":{"a":1}}'
	keys='{"entity":["user"],"key":"l3@pbx.example.com"}'
	nul='{"entity":"user","key":"l4@pbx.example.com","full_name":"a\u0000b"}'
	run -65 voip-ext apply - <<<"{\"entity\":\"user\",\"key\":\"a@pbx.example.com\"$members}
	$list
	$object
	$keys
	$nul"
	[[ $output == *"line 1: more than 128 fields"* ]]
	[[ $output == *"line 2: user 'l1@pbx.example.com': field 'full_name': a list where text is due"* ]]
	[[ $output == *"line 3: user 'l2@pbx.example.com': field 'full_name': an object where text is due"* ]]
	[[ $output == *"line 4: member 'entity' is no text"* ]]
	[[ $output == *"line 5: a NUL (\\u0000) in it"* ]]
	[[ $output == *"nothing is changed: 5 lines of"* ]]
	printf '%s\n' '{"entity":"user","key":"l5@pbx.example.com","cidr":["192.0.2.0/24","198.51.100.1"]}' |
		voip-ext apply -
	key=$(printf 'u%.0s' {1..100000})@pbx.example.com
	run -65 voip-ext apply - <<<"{\"entity\":\"user\",\"key\":\"$key\"}"
	[[ $output == "voip-ext: line 1: user 'uuu"*"u...': "*"is no key of a user"* ]]
	((${#output} < 600))
}

@test "a byte order mark, CR LF and empty lines do no harm" {
	printf '\xef\xbb\xbf{"entity":"group","key":"bom@pbx.example.com"}\r\n\r\n\n' |
		voip-ext apply -
	csv=$BATS_TEST_TMPDIR/csv
	printf '\xef\xbb\xbfkey,description\r\nbom@pbx.example.com,"two\nlines"\r\n' >"$csv"
	run -65 voip-ext group apply "$csv"
	[[ $output == *"line 2: group 'bom@pbx.example.com': field 'description': control character"* ]]
	printf 'key,description,key\n' >"$csv"
	run -65 voip-ext group apply "$csv"
	[[ $output == *"column 'key' is there twice"* ]]
	printf 'key;description\n' >"$csv"
	run -65 voip-ext group apply "$csv"
	[[ $output == *"there is no column 'key'"*"with commas between them"* ]]
	printf 'key,nope\nx@pbx.example.com,1\ny@pbx.example.com,2\n' >"$csv"
	run -65 voip-ext apply group "$csv"
	[ "${lines[0]}" = "voip-ext: line 1: 'group' has no field 'nope'" ]
	run -65 voip-ext apply "$csv"
	[[ $output == *"line 1: not JSON: "*"CSV needs an entity"* ]]
	printf 'key,description\nx@pbx.example.com\n' >"$csv"
	run -65 voip-ext group apply "$csv"
	[[ $output == *"line 2: 1 field, but the first line names 2"* ]]
	printf 'key,description\nx@pbx.example.com,"a"b\n' >"$csv"
	run -65 voip-ext group apply "$csv"
	[[ $output == *"line 2: text follows a closing quote"* ]]
}

# FIRST LAST: users with their numbers, one line each.
numbers() {
	seq -f '{"entity":"extension","key":"%.0f@pbx.example.com","password":"x"}' \
		"$1" "$2"
}

@test "two that apply at once wait for each other and lose nothing" {
	local pids=() n

	for n in 1 2 3 4; do
		{ numbers 20000 20500 && numbers "2${n}600" "2${n}700"; } |
			voip-ext apply - >"$BATS_TEST_TMPDIR/$n" 2>&1 3>&- &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n"
	done
	[ "$(look "select count(*) from voip.extensions
		where extension ~ '^2[0-9]{4}$'")" = $((501 + 4 * 101)) ]
	[ "$(cat "$BATS_TEST_TMPDIR"/[1234] | grep -c '1002 unchanged')" = 3 ]
}

# SQL: run it, wait until `apply` waits for it too, and commit.
meanwhile() {
	mkfifo "$BATS_TEST_TMPDIR/hold"
	PGUSER=postgres psql -XqAt <"$BATS_TEST_TMPDIR/hold" \
		>"$BATS_TEST_TMPDIR/held" 3>&- &
	holder=$!
	exec 8>"$BATS_TEST_TMPDIR/hold"
	printf '%s;\n' begin "$1" "select 'held'" >&8
	wait_for grep -q held "$BATS_TEST_TMPDIR/held"
	voip-ext apply "$2" >"$BATS_TEST_TMPDIR/applied" 2>&1 3>&- 8>&- &
	apply=$!
	wait_for is_true "select exists (select from pg_stat_activity
		where wait_event_type = 'Lock' and usename = 'voip_ext'
		and datname = current_database())"
	echo 'commit;' >&8
	exec 8>&-
	wait "$holder"
}

is_true() {
	[ "$(look "$1")" = t ]
}

@test "what somebody else adds meanwhile is taken as it is" {
	id="(select id from voip.domains where domain = 'pbx.example.com')"
	printf '{"entity":"user","key":"%s@pbx.example.com","role":"admin"}\n' \
		race1 race2 >"$BATS_TEST_TMPDIR/race"
	meanwhile "insert into voip.users (domain_id, username)
		values ($id, 'race2')" "$BATS_TEST_TMPDIR/race"
	wait "$apply"
	[ "$(cat "$BATS_TEST_TMPDIR/applied")" = \
		"1 added, 1 changed, 0 removed, 0 unchanged" ]
	[ "$(look "select string_agg(role, ',') from voip.users
		where username like 'race_'")" = admin,admin ]
}

@test "what somebody else removes meanwhile is missed by its name" {
	voip-ext user add away@pbx.example.com
	echo '{"entity":"extension","key":"away@pbx.example.com","user":"away"}' \
		>"$BATS_TEST_TMPDIR/race"
	meanwhile "delete from voip.users where username = 'away'" \
		"$BATS_TEST_TMPDIR/race"
	code=0
	wait "$apply" || code=$?
	[ "$code" = 65 ]
	grep -qF "line 1: extension 'away@pbx.example.com': field 'user': user 'away@pbx.example.com' does not exist" \
		"$BATS_TEST_TMPDIR/applied"
}

@test "kill -9 in the middle leaves what was there" {
	before=$(voip-ext export --secrets | md5sum)
	# It waits for this table in the middle of its transaction.
	PGUSER=postgres psql -XqAt >"$BATS_TEST_TMPDIR/lock" 3>&- <<-END &
	begin;
	lock table voip.extensions in share row exclusive mode;
	\echo locked
	select pg_sleep(60);
	END
	lock=$!
	wait_for grep -q locked "$BATS_TEST_TMPDIR/lock"
	numbers 30000 31000 >"$BATS_TEST_TMPDIR/many"
	voip-ext apply "$BATS_TEST_TMPDIR/many" 3>&- &
	apply=$!
	waiting() {
		[ "$(look "select count(*) from pg_stat_activity
			where wait_event_type = 'Lock' and query like 'insert into voip.extensions%'
			and datname = current_database()")" = 1 ]
	}
	wait_for waiting
	kill -9 "$apply"
	wait "$apply" || :
	kill "$lock"
	wait "$lock" || :
	look "select pg_terminate_backend(pid) from pg_stat_activity
		where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()"
	[ "$before" = "$(voip-ext export --secrets | md5sum)" ]
	run -0 voip-ext apply "$BATS_TEST_TMPDIR/many"
	[ "$output" = "2002 added, 0 changed, 0 removed, 0 unchanged" ]
}
