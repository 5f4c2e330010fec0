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
	[ "$output" = "voip-ext: field 'secret' of key 'rotated' cannot be empty" ]
	run -65 voip-ext key set rotated secret=geheim
	[[ $output == "voip-ext: field 'secret' of key 'rotated': a key is 32 to 128 letters"* ]]
	[[ $output != *geheim* ]]
}

@test "permissions are read or write of named resources, here and in the database" {
	run -65 voip-ext key add bad permissions='["cdr"]'
	[ "$output" = "voip-ext: field 'permissions' of key 'bad': '[\"cdr\"]' is not a JSON object" ]
	run -65 voip-ext key add bad permissions='{"cdr":"delete"}'
	[ "$output" = "voip-ext: field 'permissions' of key 'bad': the permission for 'cdr' is neither \"read\" nor \"write\"" ]
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
		[ "${lines[0]}" = "voip-ext: field 'expires_at' of key 'timed': '$value' is not a time" ]
	done
}

# --- numbers and patterns ---------------------------------------------------

@test "a number out of range is refused with the range, and a priority may be negative" {
	voip-ext trunk add ranged host=192.0.2.1
	for value in 70000 0 -1 +5 " 5" 5x 99999999999999999999; do
		run -65 voip-ext trunk set ranged port="$value"
		[ "$output" = "voip-ext: field 'port' of trunk 'ranged': '$value' is not a number from 1 to 65535" ]
	done
	voip-ext trunk rm ranged
	voip-ext node add sip:192.0.2.9:5080 priority=-10
	[ "$(voip-ext node list -f tsv | cut -f3)" = $'priority\n-10' ]
	voip-ext node rm sip:192.0.2.9:5080
	run -65 voip-ext node add sip:192.0.2.9:5080 weight=101
	[ "$output" = "voip-ext: field 'weight' of node 'sip:192.0.2.9:5080': '101' is not a number from 0 to 100" ]
	run -65 voip-ext ivr add menu@default.local max_failures=0
	[ "$output" = "voip-ext: field 'max_failures' of ivr 'menu@default.local': '0' is not a number from 1 to 100" ]
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

@test "each field is checked before the database is asked, and the message names the rule" {
	at=@default.local
	refused() {
		local entity=$1 key=$2 field=${3%%=*} value=${3#*=} message=$4

		run -65 voip-ext -n "$entity" add "$key" "$3" host=h.example
		[ "${lines[0]}" = "voip-ext: field '$field' of $entity '$key': $message" ] || {
			echo "$output"
			return 1
		}
	}
	refused domain rules.example auth_acl='a b' "'a b' is no address list, address or network"
	refused user "u$at" user_context='a+b' "'a+b' is no dialplan context"
	refused trunk t prefix=12a "'12a' is no prefix"
	refused policy p storage_path=recordings "'recordings' does not begin with '/'"
	refused policy p storage_path=/a/../b "'/a/../b' leads upwards with '..'"
	refused node sip:a description="$(printf %065d 1)" "the text is not 1 to 64 characters"
	refused queue "q$at" music=$'a\tb' \
		"the name of the file has a control character, or is not UTF-8, at offset 1"
	run -65 voip-ext trunk add a+b host=h.example
	[[ $output == *"'a+b' is no name of a gateway"* ]]
	run -65 voip-ext node add 10.0.0.1
	[[ $output == *"'10.0.0.1' is no SIP URI"*"hint: such as sip:10.0.0.11:5080" ]]
	run -65 voip-ext entry add "m/A$at" action=queue action_data=q
	[[ $output == *"'A' is no key of a phone"* ]]
	# a long name of a file is one
	voip-ext queue add "long$at" music="$(printf %0300d 1)"
	voip-ext queue rm "long$at"
}

@test "what the program admits as a pattern, the database does, and the other way round" {
	local pattern

	for pattern in 0 X Z N 0. X. +1 +X. '[1]' '[1-3]X' '[13-57]' '*#' 1X1 '[9-1]' '[]' '[' '1]' \
		'[a]' . +. + .1 1.1 1.. x A '1 2' '[1-]' '[-1]' '[1-3-5]' '1-0' '+1+' '[10-5]' '[9-90-1]'; do
		ours=1 theirs=$(look "select voip.is_pattern('$pattern')")
		voip-ext -n emergency add -- "$pattern" >/dev/null 2>&1 || ours=0
		[ "$ours$theirs" = 1t ] || [ "$ours$theirs" = 0f ] || {
			echo "$pattern: $ours $theirs"
			return 1
		}
	done
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
	id=$(look "select id from voip.trunks where name = 'way'")
	[ "${lines[1]}" = "true	pattern	0XXXXXXXXX	trunk_out	0912345679	false	$((100000 + id))	way	trunk_out;name=way;trunk_id=$id	pattern 0XXXXXXXXX of route.example" ]
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

# --- removing ---------------------------------------------------------------

@test "a name inside of another value keeps what it names, and the message names it" {
	at=@soft.example
	voip-ext domain add soft.example
	voip-ext ivr add "door$at"
	voip-ext ivr add "night$at"
	voip-ext queue add "desk$at"
	voip-ext voicemail add "200$at"
	voip-ext add "300$at" password=random >/dev/null
	voip-ext entry add "door/1$at" action=queue action_data=desk
	voip-ext entry add "door/2$at" action=voicemail action_data=200
	voip-ext entry add "door/3$at" action=sub-menu action_data=night
	voip-ext entry add "door/4$at" action=transfer action_data=300
	voip-ext entry add "night/9$at" action=sub-menu action_data=night
	voip-ext add "400$at" type=queue service_ref='{"name":"desk"}'
	refused() {
		run -1 voip-ext "$1" rm "$2$at"
		[ "${lines[0]}" = "voip-ext: $1 '$2$at' is in use by $3" ]
		[ "${lines[1]}" = "hint: --cascade removes them too; with --dry-run it shows them" ]
	}
	refused queue desk "entry 'door/1$at', extension '400$at'"
	refused voicemail 200 "entry 'door/2$at'"
	refused ivr night "entry 'door/3$at'"
	refused extension 300 "entry 'door/4$at'"
	voip-ext entry rm "door/3$at"
	voip-ext ivr rm "night$at"
	run -64 voip-ext --cascade ivr list
	[ "${lines[0]}" = "voip-ext: --cascade is not for 'list'" ]
}

@test "rm --cascade shows what goes in its order with --dry-run, and then does it" {
	at=@gone.example
	voip-ext domain add gone.example
	voip-ext add "1001$at" password=random >/dev/null
	voip-ext ivr add "door$at"
	voip-ext queue add "desk$at"
	voip-ext member add "desk/1001$at"
	voip-ext add "8001$at" queue=desk
	voip-ext entry add "door/1$at" action=transfer action_data=8001
	plan=$(voip-ext -n --cascade queue rm "desk$at" -f tsv | tail -n +2)
	[ "$(sort <<<"$plan")" = "remove	entry	door/1$at		extension '8001$at'
remove	extension	8001$at		queue 'desk$at'
remove	member	desk/1001$at		queue 'desk$at'
remove	queue	desk$at		" ]
	[ "$(tail -n 1 <<<"$plan" | cut -f2)" = queue ]
	run -0 voip-ext queue show "desk$at"
	[ "$(voip-ext --cascade queue rm "desk$at" -f tsv | tail -n +2)" = "$plan" ]
	for key in "member show desk/1001$at" "entry show door/1$at" "show 8001$at" "queue show desk$at"; do
		# shellcheck disable=SC2086 # words
		run -1 voip-ext $key
	done
	run -0 voip-ext ivr show "door$at"
	# the changes are one
	[ "$(look "select count(distinct change_id) from voip.audit
		where action = 'delete' and domain = 'gone.example'")" = 1 ]
}

@test "a reference that can be empty is emptied, and keeps what held it" {
	voip-ext domain add hold.example
	voip-ext policy add Soon
	voip-ext trunk add rescue host=192.0.2.1
	voip-ext emergency add 112 trunk=rescue
	voip-ext add 1001@hold.example password=random recording_policy=Soon >/dev/null
	voip-ext add 0.@hold.example trunk=rescue
	run -0 voip-ext --cascade policy rm Soon -f tsv
	[ "${lines[1]}" = "empty	extension	1001@hold.example	recording_policy	policy 'Soon'" ]
	run -0 voip-ext --cascade trunk rm rescue -f tsv
	[ "$(tail -n +2 <<<"$output")" = "empty	emergency	112	trunk	trunk 'rescue'
remove	extension	0.@hold.example		trunk 'rescue'
remove	trunk	rescue		" ]
	run -0 voip-ext show 1001@hold.example
	run -0 voip-ext emergency rm 112
	# its user goes with the number, as without --cascade
	run -0 voip-ext --cascade rm 1001@hold.example -f tsv
	[ "${lines[2]}" = "remove	user	1001@hold.example		extension '1001@hold.example'" ]
	run -1 voip-ext user show 1001@hold.example
}

@test "what rm --cascade took comes back with one undo" {
	at=@back.example
	voip-ext domain add back.example
	voip-ext trunk add back-trunk host=192.0.2.1 domain=back.example password=x
	voip-ext key add back-key domain=back.example >/dev/null
	voip-ext add "1001$at" password=random >/dev/null
	voip-ext queue add "desk$at"
	voip-ext member add "desk/1001$at"
	voip-ext ivr add "door$at"
	voip-ext entry add "door/1$at" action=queue action_data=desk
	voip-ext emergency add 118 trunk=back-trunk
	voip-ext export --secrets >"$BATS_TEST_TMPDIR/before"
	voip-ext --cascade domain rm back.example >/dev/null
	voip-ext undo "$(voip-ext log -f tsv | sed -n 2p | cut -f1)" >/dev/null
	voip-ext export --secrets >"$BATS_TEST_TMPDIR/after"
	cmp "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	voip-ext emergency rm 118
	voip-ext --cascade domain rm back.example >/dev/null
}

@test "what recordings are kept by stays, and the message names them" {
	voip-ext policy add Held
	look "insert into voip.recordings (leg_uuid, file_path, recording_policy_id)
		select 'a', '/a', id from voip.recording_policies where name = 'Held'"
	run -1 voip-ext policy rm Held
	[ "$output" = "voip-ext: policy 'Held' is in use by recordings" ]
	run -1 voip-ext --cascade policy rm Held
	[ "$output" = "voip-ext: a policy that would go is in use by recordings" ]
	look "delete from voip.recordings"
	voip-ext policy rm Held
}

@test "a whole tenant goes in one transaction, ten thousand numbers or ten" {
	voip-ext domain add whole.example
	voip-ext trunk add whole-trunk host=192.0.2.1 domain=whole.example
	voip-ext key add whole-key domain=whole.example >/dev/null
	voip-ext queue add desk@whole.example
	voip-ext ivr add door@whole.example
	voip-ext emergency add 119 trunk=whole-trunk
	look "insert into voip.users (domain_id, username)
			select d.id, 'u' || n from voip.domains as d, generate_series(1, 2000) as n
			where d.domain = 'whole.example';
		insert into voip.extensions (domain_id, extension, type, user_id)
			select u.domain_id, substr(u.username, 2), 'user', u.id from voip.users as u
			join voip.domains as d on d.id = u.domain_id and d.domain = 'whole.example';
		insert into voip.queue_members (queue_id, user_id)
			select q.id, u.id from voip.queues as q
			join voip.domains as d on d.id = q.domain_id and d.domain = 'whole.example'
			join voip.users as u on u.domain_id = d.id"
	run -1 voip-ext domain rm whole.example
	voip-ext --cascade domain rm whole.example -f tsv >"$BATS_TEST_TMPDIR/out"
	[ "$(grep -c ^remove "$BATS_TEST_TMPDIR/out")" = 6005 ]
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/out" | cut -f1-3)" = "remove	domain	whole.example" ]
	[ "$(look "select count(*) from voip.users where username = 'u1'")" = 0 ]
	# no key of a tenant becomes the operator's, no trunk everybody's
	run -1 voip-ext key show whole-key
	run -1 voip-ext trunk show whole-trunk
	voip-ext emergency rm 119
}

# --- the doctor -------------------------------------------------------------

# CHECK ENTITY KEY WHAT, as the only finding of that check in the domain that
# the key is of, or of all.
finds() {
	local check=$1 expected="$2	$3	$4" rows

	run -1 --separate-stderr voip-ext doctor "$check" -f tsv
	rows=$(tail -n +2 <<<"$output")
	[ "$(cut -f2 <<<"$rows" | sort -u)" = "$check" ]
	grep -qxF "$expected" <(cut -f3-5 <<<"$rows") || {
		echo "$check: not found: $expected; but:"
		echo "$rows"
		return 1
	}
	[[ $stderr == "voip-ext: "*" found" ]]
}

# CHECK: finds nothing.
clean() {
	run -0 --separate-stderr voip-ext doctor "$@" -f tsv
	[ "$stderr" = "" ]
	[ "$(wc -l <<<"$output")" = 1 ]
}

# A directory without a fault, of its own.
sound() {
	local at=@sound.example

	voip-ext domain add sound.example
	voip-ext node add sip:10.0.0.11:5080
	voip-ext trunk add carrier host=192.0.2.1
	voip-ext add "1001$at" password=random >/dev/null
	voip-ext add "1002$at" password=random >/dev/null
	voip-ext voicemail add "1001$at" pin=73910
	voip-ext queue add "desk$at" extension=8001
	voip-ext member add "desk/1001$at"
	voip-ext add "8001$at" queue=desk
	voip-ext conference add "300$at" pin=81375
	voip-ext add "300$at" conference=300
	voip-ext ivr add "door$at" extension=9000
	voip-ext add "9000$at" ivr=door
	voip-ext ivr add "night$at"
	voip-ext entry add "door/1$at" action=transfer action_data=1001
	voip-ext entry add "door/2$at" action=queue action_data=desk
	voip-ext entry add "door/3$at" action=sub-menu action_data=night
	voip-ext entry add "night/1$at" action=voicemail action_data=1001
	voip-ext entry add "night/9$at" action=sub-menu action_data=door
	voip-ext add "0XXXXXXXXX$at" trunk=carrier
	voip-ext add "00.$at" trunk=carrier
	voip-ext emergency add 110 trunk=carrier
	voip-ext key add sound permissions='{"cdr":"read"}' expires_at=90d >/dev/null
	voip-ext group add "all$at"
	voip-ext groupmember add "all/1002$at"
}

@test "the doctor finds nothing in a sound directory, in every format" {
	PGUSER=postgres psql -Xqc 'delete from voip.api_keys; delete from voip.emergency_numbers;
		delete from voip.extensions; delete from voip.ivr_entries; delete from voip.trunks;
		delete from voip.queue_members; delete from voip.group_members;
		delete from voip.users; delete from voip.queues; delete from voip.ivr_menus;
		delete from voip.voicemail_boxes; delete from voip.domains'
	sound
	clean
	run -0 voip-ext doctor -f json
	[ "$output" = "[]" ]
	run -0 voip-ext doctor
	[ "$output" = "SEVERITY  CHECK  ENTITY  KEY  WHAT  HINT  FIXED" ] ||
		[ "${#lines[@]}" -le 1 ]
	clean --domain sound.example
	run -1 voip-ext doctor --domain none.example
	[ "$output" = "voip-ext: domain 'none.example' does not exist" ]
	run -64 voip-ext doctor no-such-check
	[[ $output == "voip-ext: there is no check 'no-such-check'"*"hint: checks: "*"key-expired"* ]]
	run -64 voip-ext user doctor
	run -64 voip-ext list --fix
}

@test "the doctor finds numbers that lead nowhere or to what is inactive" {
	at=@sound.example
	voip-ext queue add "gone$at" active=false
	voip-ext add "8002$at" queue=gone
	finds target-inactive extension "8002$at" "its queue gone is inactive"
	voip-ext --cascade queue rm "gone$at" >/dev/null
	clean
	voip-ext add "8003$at" type=queue
	finds extension-to-nowhere extension "8003$at" "its type is queue, and it names none"
	voip-ext set "8003$at" service_ref='{"name":"nobody"}'
	finds extension-to-nowhere extension "8003$at" \
		"there is no queue as service_ref says: {\"\"name\"\": \"\"nobody\"\"}" ||
		finds extension-to-nowhere extension "8003$at" \
			"there is no queue as service_ref says: {\"name\": \"nobody\"}"
	voip-ext set "8003$at" service_ref='{"name":"desk"}'
	clean
	voip-ext rm "8003$at"
	voip-ext policy add Off active=false
	voip-ext set "1001$at" recording_policy=Off
	finds policy-inactive extension "1001$at" "its recording policy Off is inactive: nothing is recorded"
	voip-ext --cascade policy rm Off >/dev/null
	clean
}

@test "the doctor finds what has no number, and users who cannot log in" {
	at=@sound.example
	voip-ext user add "lone$at" password=random >/dev/null
	finds user-without-number user "lone$at" "no number rings it"
	voip-ext user set "lone$at" password=
	finds user-without-password user "lone$at" "it has no password: nobody can log in"
	voip-ext user rm "lone$at"
	voip-ext queue add "alone$at"
	voip-ext member add "alone/1001$at"
	voip-ext conference add "301$at"
	voip-ext voicemail add "555$at"
	voip-ext ivr add "attic$at"
	voip-ext entry add "attic/1$at" action=transfer action_data=1001
	for thing in "queue alone" "conference 301" "voicemail 555" "ivr attic"; do
		finds unreachable "${thing% *}" "${thing#* }$at" "no number and no menu leads to it"
		voip-ext "${thing% *}" rm "${thing#* }$at"
	done
	voip-ext domain add empty.example
	finds domain-without-users domain empty.example "it has no active user"
	voip-ext doctor --domain sound.example
	run -1 voip-ext doctor --domain empty.example
	voip-ext domain rm empty.example
	clean
}

@test "the doctor finds numbers that two things have" {
	at=@sound.example
	voip-ext queue set "desk$at" extension=300
	finds duplicate-number queue "desk$at" \
		"its number 300 is also that of conference 300, extension 300 of type conference"
	finds duplicate-number conference "300$at" "its number 300 is also that of queue desk"
	voip-ext queue set "desk$at" extension=1002
	finds duplicate-number queue "desk$at" "its number 1002 is also that of extension 1002 of type user"
	voip-ext queue set "desk$at" extension=8001
	voip-ext voicemail add "300$at"
	finds duplicate-number voicemail "300$at" "its number 300 is also that of extension 300 of type conference"
	voip-ext voicemail rm "300$at"
	clean
}

@test "the doctor finds patterns that are never reached, and --fix deactivates those" {
	at=@sound.example
	voip-ext add "[0-9]1X$at" trunk=carrier
	voip-ext add "N1X$at" trunk=carrier
	voip-ext add "X1[0-9]$at" trunk=carrier
	voip-ext add "4567$at" trunk=carrier
	finds never-reached extension "N1X$at" "[0-9]1X takes all of its numbers first"
	finds never-reached extension "X1[0-9]$at" "[0-9]1X takes all of its numbers first"
	for dialled in 210 310 219; do
		[ "$(rows $dialled$at | head -n 1 | cut -f3)" = "[0-9]1X" ]
	done
	run -1 --separate-stderr voip-ext doctor never-reached -f tsv
	[ "$(tail -n 1 <<<"$output" | cut -f7)" = false ]
	run -0 voip-ext -n doctor --fix -f tsv
	[ "$(voip-ext show "N1X$at" -f tsv --fields active | tail -n 1)" = true ]
	run -0 --separate-stderr voip-ext doctor --fix -f tsv
	[ "$(tail -n +2 <<<"$output" | cut -f2,7 | sort -u)" = "never-reached	true" ]
	[ "$(voip-ext show "N1X$at" -f tsv --fields active | tail -n 1)" = false ]
	clean
	for number in "[0-9]1X" N1X "X1[0-9]" 4567; do
		voip-ext rm "$number$at"
	done
}

@test "the doctor finds tenants' numbers that an emergency number takes, and one without a trunk" {
	at=@sound.example
	voip-ext add "[1]1[0]$at" trunk=carrier
	finds emergency-shadows extension "[1]1[0]$at" "110 takes all of its numbers first"
	voip-ext rm "[1]1[0]$at"
	voip-ext emergency add 100X trunk=carrier
	finds emergency-shadows extension "1001$at" "100X takes all of its numbers first"
	voip-ext emergency rm 100X
	voip-ext emergency set 110 trunk=
	finds emergency-without-trunk emergency 110 "it has no trunk"
	voip-ext trunk add dead host=192.0.2.7 active=false
	voip-ext emergency set 110 trunk=dead
	finds emergency-without-trunk emergency 110 "its trunk dead is inactive"
	# what is of the platform is not a tenant's business
	clean --domain sound.example
	voip-ext emergency set 110 trunk=carrier
	voip-ext trunk rm dead
	clean
}

@test "the doctor finds passwords, PINs and keys that do not serve" {
	at=@sound.example
	for word in 1002 2001 1234 sound.example; do
		voip-ext set "1002$at" password=$word
		run -1 voip-ext doctor guessable-password -f tsv
		[[ ${lines[1]} == "error	guessable-password	user	1002$at	its password is "* ]]
		[[ $output != *"is $word"* ]]
	done
	voip-ext set "1002$at" password=random >/dev/null
	voip-ext voicemail set "1001$at" pin=1001
	finds guessable-secret voicemail "1001$at" "its pin is its own name"
	voip-ext voicemail set "1001$at" pin=739
	finds guessable-secret voicemail "1001$at" "its pin is shorter than 4 characters"
	voip-ext voicemail set "1001$at" pin=0000
	finds guessable-secret voicemail "1001$at" "its pin is one of those tried first"
	voip-ext voicemail set "1001$at" pin=sesame
	finds pin-not-digits voicemail "1001$at" "its pin is not of digits"
	voip-ext voicemail set "1001$at" pin=73910
	clean
	printf '%064d\n' 8 >"$BATS_TEST_TMPDIR/key"
	chmod 600 "$BATS_TEST_TMPDIR/key"
	VOIP_SECRET_KEY_FILE=$BATS_TEST_TMPDIR/key run -1 voip-ext doctor sealed-secret -f tsv
	[[ $output == *"error	sealed-secret	conference	300$at	its pin does not open: "* ]]
	voip-ext key add late permissions='{"cdr":"read"}' expires_at=2001-01-01 >/dev/null
	finds key-expired key late "it expired at 2001-01-01T00:00:00Z"
	run -0 voip-ext doctor --fix -f tsv
	[ "$(voip-ext key show late -f tsv --fields active | tail -n 1)" = false ]
	clean
	voip-ext key rm late
	voip-ext key add soon permissions='{"cdr":"read"}' expires_at=3d >/dev/null
	run -1 voip-ext doctor key-expires -f tsv
	[[ ${lines[1]} == "notice	key-expires	key	soon	it expires at "* ]]
	voip-ext key rm soon
	voip-ext key add mute >/dev/null
	finds key-without-permissions key mute "it may do nothing"
	voip-ext key rm mute
	voip-ext trunk set carrier username=us register=true
	finds trunk-without-password trunk carrier "it registers without a password"
	voip-ext trunk set carrier register=false
	clean
}

@test "the doctor finds queues, groups and menus that are empty, and entries to nowhere" {
	at=@sound.example
	voip-ext member set "desk/1001$at" active=false
	finds queue-without-members queue "desk$at" "it has no active member"
	voip-ext member set "desk/1001$at" active=true
	voip-ext groupmember rm "all/1002$at"
	finds group-without-members group "all$at" "it has no active member"
	voip-ext groupmember add "all/1002$at"
	voip-ext entry set "night/1$at" action=transfer action_data=4711
	finds entry-to-nowhere entry "night/1$at" "nothing answers the number 4711"
	voip-ext entry set "night/1$at" action=queue action_data=nobody
	finds entry-to-nowhere entry "night/1$at" "there is no active queue nobody"
	voip-ext entry set "night/1$at" action=voicemail action_data=777
	finds entry-to-nowhere entry "night/1$at" "there is no active box 777"
	voip-ext entry set "night/1$at" action=sub-menu action_data=cellar
	finds entry-to-nowhere entry "night/1$at" "there is no active menu cellar"
	voip-ext entry set "night/1$at" action=voicemail action_data=1001
	voip-ext ivr add "loop$at"
	voip-ext add "9001$at" ivr=loop
	finds ivr-without-entries ivr "loop$at" "it has no active entry"
	voip-ext ivr add "back$at"
	voip-ext entry add "loop/1$at" action=sub-menu action_data=back
	voip-ext entry add "back/1$at" action=sub-menu action_data=loop
	finds ivr-without-end ivr "loop$at" "its digits lead to menus only, in a circle"
	finds ivr-without-end ivr "back$at" "its digits lead to menus only, in a circle"
	voip-ext entry add "back/2$at" action=transfer action_data=1001
	clean
	voip-ext --cascade ivr rm "loop$at" >/dev/null
	voip-ext ivr rm "back$at"
	clean
}

@test "the doctor finds trunks that nobody uses and nodes that are missing" {
	at=@sound.example
	voip-ext trunk add spare host=192.0.2.5
	finds trunk-unused trunk spare "no number goes out by it"
	voip-ext trunk rm spare
	voip-ext node set sip:10.0.0.11:5080 active=false
	finds no-media-node node "set 1" \
		"no FreeSWITCH is active there: nothing but calls between phones works"
	voip-ext node set sip:10.0.0.11:5080 active=true
	voip-ext set "00.$at" need_media=false
	finds no-gateway-node node "set 2" "no gateway is active there, but 1 numbers go there directly"
	voip-ext set "00.$at" need_media=
	clean
}

@test "each check of the doctor has a case here and a line in the manual" {
	run -64 voip-ext doctor no-such-check
	checks=$(sed -n 's/^hint: checks: //p' <<<"$output")
	[ "$(wc -w <<<"$checks")" -ge 25 ]
	for check in $checks; do
		grep -q "finds $check \|doctor $check " "$BATS_TEST_FILENAME"
		grep -qx ".It Cm $check" "$BATS_TEST_DIRNAME/../man/voip-ext.1"
	done
}

@test "doctor and route need no writing, so a standby serves" {
	export PGOPTIONS='-c default_transaction_read_only=on'
	run -0 voip-ext doctor -f tsv
	run -0 voip-ext route 1001@sound.example
}

@test "on a terminal an error is red and a warning yellow, unless NO_COLOR is set" {
	at=@sound.example
	voip-ext user add "lone$at" password=1234
	terminal() {
		script -qec "env TERM=xterm $1 voip-ext doctor" /dev/null </dev/null
	}
	run -1 terminal ""
	[[ $output == *$'\e[31merror\e[0m     guessable-password'* ]]
	[[ $output == *$'\e[33mwarning\e[0m   user-without-number'* ]]
	run -1 terminal NO_COLOR=1
	[[ $output != *$'\e['* ]]
	[[ $output == *$'error     guessable-password'* ]]
	voip-ext user rm "lone$at"
}
