#!/usr/bin/env bats
# voip-ext: verbs, messages, secrets, what is shown, what is refused.
# shellcheck disable=SC2154,SC2030,SC2031 # each test is a subshell

load helper

setup_file() {
	clone_db
	export PGUSER=voip_ext
	secret=$(mktemp -d)
	export secret VOIP_SECRET_KEY_FILE=$secret/key
	(umask 077 && printf '%064d\n' 7 >"$secret/key")
	voip-ext domain add pbx.example.com
}

teardown_file() {
	drop_db
	rm -rf "$secret"
}

# A database connection that may see all, for looking behind the program.
look() {
	PGUSER=postgres sql "$1"
}

md5() {
	printf %s "$1" | md5sum | cut -d' ' -f1
}

# Everything that the database holds of the directory, as text.
contents() {
	local table

	for table in users extensions trunks conferences voicemail_boxes audit; do
		look "select t::text from voip.$table as t"
	done
}

# ENTITY KEY FIELD=VALUE...: add, show, set, list, rm, each with its refusals.
whole_life() {
	local entity=$1 key=$2 change=$3

	shift 3
	run -0 voip-ext "$entity" add "$key" "$@"
	[ "$output" = "" ]
	run -1 voip-ext "$entity" add "$key" "$@"
	[ "$output" = "voip-ext: $entity '$key' exists already" ]
	run -0 voip-ext "$entity" set "$key" "$change"
	run -0 voip-ext "$entity" show "$key" --format=tsv
	[ "$(tail -n 1 <<<"$output" | cut -f1)" = "$key" ]
	run -0 voip-ext "$entity" list "$change" --format=tsv
	[ "$(tail -n 1 <<<"$output" | cut -f1)" = "$key" ]
	run -0 voip-ext "$entity" rm "$key"
	for verb in show rm; do
		run -1 voip-ext "$entity" "$verb" "$key"
		[ "$output" = "voip-ext: $entity '$key' does not exist" ]
	done
	run -1 voip-ext "$entity" set "$key" "$change"
	[ "$output" = "voip-ext: $entity '$key' does not exist" ]
}

@test "each entity is added, changed, shown, listed and removed by its key" {
	at=@life.example.com
	voip-ext domain add "${at#@}"
	voip-ext user add "anna$at"
	voip-ext queue add "desk$at"
	voip-ext group add "all$at"
	voip-ext ivr add "door$at"
	whole_life domain other.example.com tenant_name=Other active=true
	whole_life user "bert$at" role=admin full_name=Bert
	whole_life extension "100$at" description=desk queue=desk
	whole_life queue "support$at" strategy=random max_wait_time=9
	whole_life member "desk/anna$at" tier=3 position=2
	whole_life group "team$at" description=Team
	whole_life groupmember "all/anna$at" position=4
	whole_life ivr "menu$at" timeout_seconds=7
	whole_life entry "door/1$at" order_num=3 action=transfer \
		action_data=200
	whole_life voicemail "200$at" keep=false pin=1234
	whole_life conference "300$at" record=true moderator_pin=99
	whole_life trunk carrier1 port=5070 host=sip.example.net
	whole_life policy Long retention_days=400
	whole_life node sip:10.0.0.11:5080 weight=9
	whole_life address 192.0.2.0/24 tag=office
	whole_life emergency 112 description=rescue
}

@test "a password becomes HA1, HA1b and the SHA-256 form of user, domain and password" {
	run -0 voip-ext add 1001@pbx.example.com password=geheim
	[ "$output" = "" ]
	[ "$(look "select ha1, ha1b, ha1_sha256 from voip.users
		where username = '1001'")" = "$(md5 1001:pbx.example.com:geheim)"$'\t'"$(
		md5 1001@pbx.example.com:pbx.example.com:geheim)"$'\t'"$(
		printf %s 1001:pbx.example.com:geheim | sha256sum | cut -d' ' -f1)" ]
	[ "$(voip-ext list extension=1001 -f tsv | tail -n 1 | cut -f1-3)" = \
		$'1001@pbx.example.com\tuser\t1001' ]
}

@test "a password is one line of standard input, and an empty one is refused" {
	printf 'of stdin\nanother\n' |
		voip-ext user add pipe@pbx.example.com password=-
	[ "$(look "select ha1 from voip.users where username = 'pipe'")" = \
		"$(md5 'pipe:pbx.example.com:of stdin')" ]
	run -65 voip-ext user set pipe@pbx.example.com password=- </dev/null
	[ "$output" = "voip-ext: no secret on standard input" ]
}

@test "a random password is printed once, is the account's, and is another each time" {
	run -0 --separate-stderr voip-ext add r1@pbx.example.com password=random -f tsv
	first=$(tail -n 1 <<<"$output" | cut -f2)
	[ "${#first}" -eq 43 ]
	[ "$stderr" = "" ]
	[ "$(look "select ha1 from voip.users where username = 'r1'")" = \
		"$(md5 "r1:pbx.example.com:$first")" ]
	run -0 voip-ext set r1@pbx.example.com password=random -f tsv
	[ "$(tail -n 1 <<<"$output" | cut -f2)" != "$first" ]
}

@test "every secret that a command makes is printed, and a PIN can be typed" {
	at=@pbx.example.com
	run -0 --separate-stderr voip-ext conference add "950$at" pin=random \
		moderator_pin=random -f tsv
	[[ "$output" == $'conference\tpin\tmoderator_pin\n'950"$at"$'\t'* ]]
	read -r _ pin moderator <<<"${lines[1]}"
	[[ "$pin" =~ ^[0-9]{8}$ && "$moderator" =~ ^[0-9]{8}$ ]]
	run -0 env PGUSER=voip_dirxml voip-dirxml <<-END
		section=configuration&key_value=conference.conf&profile_name=950_pbx.example.com
	END
	[[ "$output" == *"value=\"$pin\""* ]]
	[[ "$output" == *"value=\"$moderator\""* ]]
	run -0 --separate-stderr voip-ext add "1950$at" password=random \
		reverse_auth_pass=random -f tsv
	[[ "${lines[0]}" == $'extension\tpassword\treverse_auth_pass' ]]
	read -r _ password reverse <<<"${lines[1]}"
	[ "${#password}" -eq 43 ]
	[ "${#reverse}" -eq 43 ]
	[ "$(look "select ha1 from voip.users where username = '1950'")" = \
		"$(md5 "1950:pbx.example.com:$password")" ]
	voip-ext rm "1950$at"
	voip-ext conference rm "950$at"
}

@test "no secret is in the database, the audit, the answers or the messages" {
	word=Swordfish-77
	voip-ext user add s1@pbx.example.com password=$word reverse_auth_pass=$word
	voip-ext trunk add secret-trunk host=192.0.2.1 password=$word
	voip-ext conference add 900@pbx.example.com pin=$word
	run -1 voip-ext user add s1@pbx.example.com password=$word
	[[ $output != *$word* ]]
	run -65 voip-ext user add "s 2@pbx.example.com" password=$word
	[[ $output != *$word* ]]
	run -0 contents
	[[ $output != *$word* ]]
	[[ $output != *"$(printf %s $word | od -An -tx1 | tr -d ' \n')"* ]]
	ha1=$(md5 "s1:pbx.example.com:$word")
	run -0 look 'select a::text from voip.audit as a'
	[[ $output != *$ha1* ]]
	[[ $output == *'********'* ]]
	for format in table tsv csv json jsonl; do
		run -0 voip-ext user show s1@pbx.example.com --format=$format
		[[ $output == *'********'* ]]
		[[ $output != *$word* && $output != *$ha1* ]]
	done
}

@test "the process list does not show a literal password once the program has started" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	voip-ext user add proc@pbx.example.com reverse_auth_pass=Swordfish-88 \
		password=- <"$BATS_TEST_TMPDIR/in" 3>&- &
	pid=$!
	exec 4>"$BATS_TEST_TMPDIR/in"
	hidden() {
		tr '\0' ' ' <"/proc/$pid/cmdline" |
			grep -F 'reverse_auth_pass=************'
	}
	wait_for hidden
	echo geheim >&4
	exec 4>&-
	wait "$pid"
}

@test "a number whose second part fails leaves no user" {
	voip-ext user add other@pbx.example.com
	voip-ext add 1500@pbx.example.com user=other
	run -1 voip-ext add 1500@pbx.example.com password=x
	[ "$(look "select count(*) from voip.users where username = '1500'")" -eq 0 ]
	voip-ext rm 1500@pbx.example.com
}

@test "two that add the same key at once: one succeeds, one is told that it exists" {
	voip-ext user add twice@pbx.example.com 2>"$BATS_TEST_TMPDIR/1" &
	one=$!
	voip-ext user add twice@pbx.example.com 2>"$BATS_TEST_TMPDIR/2" &
	two=$!
	first=0 second=0
	wait "$one" || first=$?
	wait "$two" || second=$?
	[ "$((first + second))" -eq 1 ]
	[ "$(cat "$BATS_TEST_TMPDIR"/[12])" = \
		"voip-ext: user 'twice@pbx.example.com' exists already" ]
}

@test "awkward names and values are refused or kept as they are, and never taken for SQL" {
	for name in "a'b" 'a"b' 'a;b' 'a%b' 'a b' 'a\b' "a\$1" 'ä' \
		$'a\tb' $'a\nb' $'a\001b' "$(printf 'a%.0s' {1..65})" ''; do
		run -65 voip-ext user add "$name@pbx.example.com"
	done
	run -65 voip-ext user add "x@pbx.example.com'; drop table voip.users; --"
	run -65 voip-ext user add x@pbx.example.com full_name=$'a\001b'
	run -0 voip-ext user add "$(printf 'a%.0s' {1..64})@pbx.example.com"
	run -0 voip-ext user add -- -x@pbx.example.com
	value="Ümit O'Neil \"; drop table voip.users; -- %s %n \$1 \\"
	run -0 voip-ext user set -- -x@pbx.example.com "full_name=$value"
	[ "$(look "select full_name from voip.users where username = '-x'")" = "$value" ]
	run -0 voip-ext user list "full_name=$value" --format=jsonl
	[ "$(wc -l <<<"$output")" -eq 1 ]
}

@test "every wrong command line is 64 and says what was wrong" {
	run -64 voip-ext
	[[ $output == "voip-ext: no verb given"* ]]
	run -64 voip-ext nonsense
	[[ $output == "voip-ext: 'nonsense' is no entity and no verb"* ]]
	run -64 voip-ext user add
	[[ $output == "voip-ext: 'add' needs a key"* ]]
	run -64 voip-ext user show x@pbx.example.com y
	[[ $output == "voip-ext: unexpected argument 'y'"* ]]
	run -64 voip-ext user add x@pbx.example.com full_nam=y
	[[ $output == *"'user' has no field 'full_nam'"*"hint: did you mean 'full_name'?"* ]]
	run -64 voip-ext user add x@pbx.example.com word
	[[ $output == *"'word' is not FIELD=VALUE"* ]]
	run -64 voip-ext user set 1001@pbx.example.com
	[[ $output == *"nothing to set"* ]]
	run -64 voip-ext user set 1001@pbx.example.com created_at=now
	[[ $output == *"field 'created_at' of user '1001@pbx.example.com' cannot be written"* ]]
	run -64 voip-ext add 1600@pbx.example.com
	[[ $output == *"extension '1600@pbx.example.com' needs the field 'type'"*"hint: password=random makes a user"* ]]
}

@test "a wrong value is 65 and names its field" {
	run -65 voip-ext user add x@pbx.example.com role=boss
	[[ $output == *"field 'role' of user 'x@pbx.example.com': 'boss' is none of: agent supervisor admin"* ]]
	run -65 voip-ext user add x@pbx.example.com max_calls=-1
	[[ $output == *"field 'max_calls' of user 'x@pbx.example.com': '-1' is not a number from 0 to 2147483647"* ]]
	long=$(printf '%03000d' 0)
	run -65 voip-ext queue add x@pbx.example.com max_wait_time="9$long"
	[[ $output == *"queue 'x@pbx.example.com': '9000"*"0...' is not a number from 0 to 2147483647" ]]
	run -65 voip-ext add '0[9@pbx.example.com' type=user
	[[ $output == "voip-ext: extension '0[9@pbx.example.com': wrong class at offset 1"* ]]
	run -65 voip-ext user add x
	[[ $output == *"'x' names no domain"* ]]
	run -65 voip-ext add 1601@pbx.example.com queue=none
	[[ $output == *"queue 'none@pbx.example.com' does not exist"* ]]
	run -1 voip-ext user add x@nowhere.example.com
	[[ $output == *"domain 'nowhere.example.com' does not exist"* ]]
}

@test "an emptied field is null, or its default again" {
	voip-ext user add e1@pbx.example.com role=admin email=a@example.com max_calls=3
	voip-ext user set e1@pbx.example.com role= email= max_calls=
	[ "$(look "select role, email is null, max_calls is null from voip.users
		where username = 'e1'")" = $'agent\tt\tt' ]
}

@test "a field that is given twice is refused" {
	run -64 voip-ext user add two@pbx.example.com role=agent role=admin
	[[ $output == "voip-ext: field 'role' is given twice"* ]]
	run -64 voip-ext add two@pbx.example.com password=a password=b
	[[ $output == "voip-ext: field 'password' is given twice"* ]]
	run -1 voip-ext user show two@pbx.example.com
}

@test "a refusal of the database names the field that it is about" {
	voip-ext queue add one@pbx.example.com extension=650
	run -1 voip-ext queue add two@pbx.example.com extension=650
	[ "$output" = "voip-ext: queue 'two@pbx.example.com': another has this 'extension' already" ]
	run -65 voip-ext add 1650@pbx.example.com type=queue need_media=false
	[[ $output == "voip-ext: field 'need_media' of extension '1650@pbx.example.com': "* ]]
}

@test "media is as the type wants it when nobody says" {
	voip-ext add 1660@pbx.example.com type=user need_media=true
	voip-ext set 1660@pbx.example.com need_media=
	[ "$(look "select need_media from voip.extensions
		where extension = '1660'")" = f ]
}

@test "what is in use is kept, and its users are named" {
	voip-ext user add used@pbx.example.com
	voip-ext add 1700@pbx.example.com user=used
	run -1 voip-ext user rm used@pbx.example.com
	[ "${lines[0]}" = "voip-ext: user 'used@pbx.example.com' is in use by extension '1700@pbx.example.com'" ]
	run -1 voip-ext domain rm pbx.example.com
	[[ $output == *"domain 'pbx.example.com' is in use by user '"* ]]
}

@test "a user goes with the last number that points to it, and not before" {
	voip-ext add 1800@pbx.example.com type=user
	voip-ext add 1801@pbx.example.com user=1800
	voip-ext rm 1800@pbx.example.com
	run -0 voip-ext user show 1800@pbx.example.com
	voip-ext rm 1801@pbx.example.com
	run -1 voip-ext user show 1800@pbx.example.com
}

@test "neither a user nor a domain with passwords is renamed without new ones" {
	voip-ext domain add old.example.com
	voip-ext user add u@old.example.com password=x
	run -1 voip-ext user set u@old.example.com username=v
	[[ $output == *"a password is part of the old name"* ]]
	run -1 voip-ext domain set old.example.com domain=new.example.com
	run -0 voip-ext user set u@old.example.com username=v password=y
	[ "$(look "select ha1 from voip.users where username = 'v'")" = \
		"$(md5 v:old.example.com:y)" ]
}

@test "a dry run checks everything and changes nothing" {
	before=$(contents)
	run -0 voip-ext --dry-run user add dry@pbx.example.com password=x
	run -0 voip-ext --dry-run user set 1001@pbx.example.com full_name=Dry
	run -0 voip-ext -n rm 1001@pbx.example.com
	run -1 voip-ext -n user add 1001@pbx.example.com
	[ "$(contents)" = "$before" ]
}

@test "lists are of one domain when asked, and each format holds the same rows" {
	voip-ext domain add list.example.com
	voip-ext user add b@list.example.com
	voip-ext user add a@list.example.com full_name='A, "B"'
	run -0 voip-ext user list -d list.example.com -f tsv
	[ "$(cut -f1,2 <<<"$output")" = $'user\tfull_name\na@list.example.com\tA, "B"\nb@list.example.com\t' ]
	run -0 voip-ext user list -d list.example.com -f csv
	[[ $output == *'a@list.example.com,"A, ""B"""'* ]]
	run -0 voip-ext user list -d list.example.com -f jsonl
	[[ ${lines[0]} == '{"user":"a@list.example.com","full_name":"A, \"B\"",'* ]]
	run -0 voip-ext user list -d list.example.com -f json
	[[ $output == '['*']' ]]
	run -0 voip-ext user list -d list.example.com
	[[ $output == *a@list.example.com* && $output != *created_at* ]]
	run -64 voip-ext policy list -d list.example.com
}

@test "the audit names who did it" {
	SUDO_USER=alice voip-ext domain add audit.example.com
	[ "$(look "select c.actor, c.role, a.action from voip.audit as a
		join voip.change as c on c.id = a.change_id
		where a.key = 'audit.example.com'")" = "$(
		[ "$(id -u)" -eq 0 ] && echo os:alice || echo "os:$(id -un)")"$'\tvoip_ext\tinsert' ]
}

@test "a database that is away is 75, and a full device 71" {
	PGHOST=127.0.0.1 PGPORT=1 run -75 voip-ext list --set database_wait=0
	run -71 bash -c 'voip-ext user list >/dev/full'
}

@test "a key file that is missing is 78 and nothing is written" {
	VOIP_SECRET_KEY_FILE=/nonexistent run -78 voip-ext trunk add keyless \
		host=192.0.2.1 password=x
	[[ $output == *"cannot open key file '/nonexistent'"* ]]
	run -1 voip-ext trunk show keyless
}

@test "every entity and every field is in the manual" {
	page=$BATS_TEST_DIRNAME/../man/voip-ext.1
	run -64 voip-ext nonsense
	entities=$(sed -n 's/.*entities: \(.*\); verbs.*/\1/p' <<<"$output")
	[ -n "$entities" ]
	for entity in $entities; do
		section=$(sed -n "/^\.It Cm $entity Ar /,/^\.It Cm [a-z]* Ar /p" "$page")
		[ -n "$section" ]
		while IFS=$'\t' read -r field _; do
			grep -q "^\.It Cm $field Pq " <<<"$section" || {
				echo "$entity: $field is not in voip-ext(1)"
				return 1
			}
		done < <(voip-ext fields "$entity" --format=tsv | tail -n +2)
	done
}

@test "references are found in the same domain only, and give the type" {
	voip-ext domain add b.example.com
	voip-ext queue add tops@b.example.com strategy=top-down
	run -0 voip-ext add 8800@b.example.com queue=tops
	[ "$(look "select type from voip.extensions where extension = '8800'")" = queue ]
	run -65 voip-ext add 8800@pbx.example.com queue=tops
	[ "$output" = "voip-ext: field 'queue' of extension '8800@pbx.example.com': queue 'tops@pbx.example.com' does not exist" ]
	run -65 voip-ext add 8800@pbx.example.com queue=tops@b.example.com
	[[ $output == *"is of another domain than 'pbx.example.com'"* ]]
	voip-ext add 1001@b.example.com password=x
	run -0 voip-ext list --domain b.example.com extension=1001 --format=tsv
	[ "$(tail -n +2 <<<"$output" | cut -f1)" = 1001@b.example.com ]
}

@test "--help names each verb and each entity" {
	local word words

	run -64 voip-ext nonsense
	words=$(sed -n 's/.*entities: \(.*\); verbs: \(.*\)/\1 \2/p' <<<"$output")
	[ -n "$words" ]
	run -0 voip-ext --help
	for word in $words; do
		grep -q "^  $word " <<<"$output" || {
			echo "$word is not in --help"
			return 1
		}
	done
}

@test "the entity may follow the verb" {
	voip-ext add queue late@pbx.example.com
	run -0 voip-ext list queue --fields key -f tsv
	[[ $output == *late@pbx.example.com* ]]
	[ "$(voip-ext show queue late@pbx.example.com)" = \
		"$(voip-ext queue show late@pbx.example.com)" ]
	voip-ext rm queue late@pbx.example.com
	run -0 voip-ext export queue
	[[ $output != *late* ]]
	run -64 voip-ext queue delete late@pbx.example.com
	[[ $output == "voip-ext: 'delete' is no verb"*"did you mean 'rm'?"* ]]
}

@test "the longest names, and names with the marks of keys, are keys everywhere" {
	local name phones number=8800 file=$BATS_TEST_TMPDIR/names
	phones=$(printf '\U1F4DE%.0s' {1..128})
	voip-ext domain add names.example
	voip-ext add 1001@names.example password=x
	for name in "$phones" 'x/1001' // 'a@b/c'; do
		run -0 voip-ext queue add "$name@names.example"
		run -0 voip-ext member add "$name/1001@names.example"
		run -0 voip-ext member set "$name/1001@names.example" tier=2
		run -0 voip-ext member show "$name/1001@names.example" -f tsv
		[[ $output == *"$name/1001@names.example"* ]]
		run -0 voip-ext ivr add "$name@names.example"
		run -0 voip-ext entry add "$name/1@names.example" \
			action=queue action_data="$name"
		run -0 voip-ext group add "$name@names.example"
		run -0 voip-ext groupmember add "$name/1001@names.example"
		number=$((number + 1))
		run -0 voip-ext add "$number@names.example" \
			queue="$name@names.example"
		run -0 voip-ext show "$number@names.example" -f json \
			--fields queue
		[ "$(jq -r '.[0].queue // .queue' <<<"$output")" = "$name" ]
	done
	voip-ext export --domain names.example >"$file"
	run -0 voip-ext apply "$file"
	run -0 --separate-stderr voip-ext apply --dry-run "$file"
	[[ $output == 'nothing to change ('* ]]
	run -65 voip-ext queue add "$phones$phones@names.example"
	voip-ext queue rm --cascade "$phones@names.example"
	run -1 voip-ext member show "$phones/1001@names.example"
	voip-ext domain rm --cascade names.example
}
