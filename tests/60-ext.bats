#!/usr/bin/env bats
# voip-ext: the directory from the shell, on a real database.
# shellcheck disable=SC2154,SC2030,SC2031,SC2016

load helper

setup_file() {
	clone_db
	export PGUSER=voip_ext
	voip-ext domain add a.example.com tenant_name=A
	voip-ext domain add b.example.com
}

teardown_file() {
	PGUSER=postgres drop_db
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	export VOIP_SECRET_KEY_FILE=$BATS_TEST_TMPDIR/key
	(umask 077 && printf '%064d\n' 1 >"$VOIP_SECRET_KEY_FILE")
}

as_owner() {
	PGUSER=postgres sql "$1"
}

md5() {
	printf %s "$1" | md5sum | cut -d' ' -f1
}

# The value of a field, by jsonl.
field() {
	voip-ext "$1" show "$2" --format=tsv | awk -F'\t' -v name="$3" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) n = i }
		NR == 2 { print $n }'
}

@test "add with a password makes user and extension, and only HA1 is kept" {
	run -0 --separate-stderr voip-ext add 1001@a.example.com password=- \
		full_name='Alice Liddell' description='Front desk' <<<'Gr"yp%on'
	[ -z "$output$stderr" ]
	[ "$(field extension 1001@a.example.com user)" = 1001 ]
	[ "$(field user 1001@a.example.com full_name)" = 'Alice Liddell' ]
	run -0 as_owner "select ha1, ha1b, ha1_sha256 from voip.users
		where username = '1001'"
	[ "$output" = "$(md5 '1001:a.example.com:Gr"yp%on')"$'\t'"$(
		md5 '1001@a.example.com:a.example.com:Gr"yp%on')"$'\t'"$(
		printf %s '1001:a.example.com:Gr"yp%on' | sha256sum | cut -d' ' -f1)" ]
	[[ $(as_owner 'select * from voip.audit') != *Gr* ]]
	[[ $(voip-ext user show 1001@a.example.com -f json) != *"$(md5 '1001:a.example.com:Gr"yp%on')"* ]]
}

@test "password=random is printed once and is what HA1 was made of" {
	run -0 voip-ext add 1002@a.example.com password=random --format=tsv
	secret=$(tail -n 1 <<<"$output" | cut -f2)
	[[ $secret =~ ^[A-Za-z0-9_-]{43}$ ]]
	[ "$(as_owner "select ha1 from voip.users where username = '1002'")" = \
		"$(md5 "1002:a.example.com:$secret")" ]
}

@test "a literal password is gone from the process list while the program works" {
	PGUSER=postgres psql -Xq <<'SQL' >"$BATS_TEST_TMPDIR/lock" 2>&1 &
begin; lock table voip.domains in access exclusive mode;
select pg_sleep(30);
SQL
	locker=$!
	wait_for bash -c "[ \"\$(PGUSER=postgres psql -XqAtc \"select count(*)
		from pg_stat_activity where query like '%pg_sleep(30)%'
		and pid <> pg_backend_pid()\")\" = 1 ]"
	voip-ext add 1003@a.example.com password=visible1 &
	pid=$!
	wait_for bash -c "PGUSER=postgres psql -XqAtc \"select 1 from pg_stat_activity
		where usename = 'voip_ext' and wait_event_type = 'Lock'\" | grep -q 1"
	run -1 grep -a visible1 "/proc/$pid/cmdline"
	run -0 grep -a 'password=\*\*\*\*\*\*\*\*' "/proc/$pid/cmdline"
	as_owner "select pg_terminate_backend(pid) from pg_stat_activity
		where query like '%pg_sleep(30)%' and pid <> pg_backend_pid()"
	wait "$locker" || :
	wait "$pid"
	[ "$(as_owner "select ha1 from voip.users where username = '1003'")" = \
		"$(md5 1003:a.example.com:visible1)" ]
}

@test "the same number in two tenants is two numbers" {
	run -0 voip-ext add 1001@b.example.com password=x
	[ "$(voip-ext list extension=1001 -f tsv | wc -l)" -eq 3 ]
	[ "$(voip-ext list --domain b.example.com -f tsv | tail -n +2 | cut -f1)" = \
		1001@b.example.com ]
}

@test "what exists already is a conflict, also when two add it at once" {
	run -1 voip-ext domain add a.example.com
	[ "$output" = "voip-ext: domain 'a.example.com' exists already" ]
	run -1 voip-ext user add 1001@a.example.com
	[ "$output" = "voip-ext: user '1001@a.example.com' exists already" ]
	for i in 1 2 3 4; do
		{
			status=0
			voip-ext add 1050@a.example.com password=x || status=$?
			echo "$status" >"$BATS_TEST_TMPDIR/status.$i"
		} &
	done
	wait
	[ "$(sort "$BATS_TEST_TMPDIR"/status.* | tr '\n' ' ')" = '0 1 1 1 ' ]
}

@test "when the second half fails, the first is not there either" {
	run -65 voip-ext add 1060@a.example.com password=x recording_policy=none
	[ "$output" = "voip-ext: policy 'none' does not exist" ]
	run -1 voip-ext user show 1060@a.example.com
	[ "$output" = "voip-ext: user '1060@a.example.com' does not exist" ]
}

@test "set changes fields, of the user too, and an empty value empties one" {
	run -0 voip-ext set 1001@a.example.com description=Desk email=a@example.com
	[ "$(field extension 1001@a.example.com description)" = Desk ]
	[ "$(field user 1001@a.example.com email)" = a@example.com ]
	run -0 voip-ext set 1001@a.example.com description= email=
	[ "$(as_owner "select description || '|' || coalesce(u.email, 'null')
		from voip.extensions as x join voip.users as u on u.id = x.user_id
		where extension = '1001' and username = '1001'
		and u.email is null limit 1")" = '|null' ]
	run -1 voip-ext set 4711@a.example.com description=x
	[ "$output" = "voip-ext: extension '4711@a.example.com' does not exist" ]
	run -64 voip-ext set 1001@a.example.com
	[[ $output == "voip-ext: nothing to set"* ]]
}

@test "a password change is a new HA1, and a rename needs a password" {
	run -0 voip-ext user add bob@a.example.com password=one
	run -1 voip-ext user set bob@a.example.com username=robert
	[[ $output == *"a password is part of the old name"*"hint: give password= together with username="* ]]
	run -0 voip-ext user set bob@a.example.com username=robert password=two
	[ "$(as_owner "select ha1 from voip.users where username = 'robert'")" = \
		"$(md5 robert:a.example.com:two)" ]
	run -1 voip-ext domain set a.example.com domain=c.example.com
	[[ $output == *"a password is part of the old name"* ]]
}

@test "rm names what stands in its way, and takes an unused user along" {
	voip-ext queue add desk@a.example.com
	voip-ext add 1070@a.example.com password=x
	voip-ext add 1071@a.example.com user=1070
	voip-ext member add desk/1070@a.example.com
	run -1 voip-ext user rm 1070@a.example.com
	[ "$output" = "voip-ext: user '1070@a.example.com' is in use by extension '1070@a.example.com', extension '1071@a.example.com', member 'desk/1070@a.example.com'" ]
	run -1 voip-ext domain rm a.example.com
	[[ $output == *"is in use by user "*", ..."* ]]
	run -0 voip-ext rm 1070@a.example.com
	run -0 voip-ext user show 1070@a.example.com
	run -0 voip-ext member rm desk/1070@a.example.com
	run -0 voip-ext rm 1071@a.example.com
	run -1 voip-ext user show 1070@a.example.com
	run -1 voip-ext rm 1071@a.example.com
}

@test "references are found in the same domain only, and give the type" {
	voip-ext queue add sales@b.example.com strategy=top-down
	run -0 voip-ext add 8001@b.example.com queue=sales
	[ "$(field extension 8001@b.example.com type)" = queue ]
	run -65 voip-ext add 8001@a.example.com queue=sales
	[ "$output" = "voip-ext: queue 'sales@a.example.com' does not exist" ]
	run -65 voip-ext add 8001@a.example.com queue=sales@b.example.com
	[[ $output == *"is of another domain than 'a.example.com'"* ]]
	run -64 voip-ext add 8002@a.example.com
	[ "${lines[0]}" = "voip-ext: 'extension' needs the field 'type'" ]
}

@test "unknown words, fields and values are named with what would be right" {
	run -64 voip-ext frobnicate x
	[[ $output == *"'frobnicate' is no entity and no verb"*"hint: entities: domain user extension"* ]]
	run -64 voip-ext add 1@a.example.com pasword=x
	[[ $output == *"'extension' has no field 'pasword'"* ]]
	run -64 voip-ext add 1@a.example.com nonsense
	[[ $output == *"'nonsense' is not FIELD=VALUE"* ]]
	run -65 voip-ext add 1@a.example.com type=phone
	[[ $output == "voip-ext: field 'type' of 'extension': 'phone' is none of: user queue"* ]]
	run -65 voip-ext queue add q@a.example.com max_wait_time=-1
	[[ $output == *"field 'max_wait_time' of 'queue': '-1' is not a number"* ]]
	run -65 voip-ext add 1001 type=user
	[[ $output == *"'1001' names no domain"*"NAME@DOMAIN"* ]]
	run -65 voip-ext add 1@missing.example.com password=x || run -1 voip-ext add 1@missing.example.com password=x
	[[ $output == *"domain 'missing.example.com' does not exist"* ]]
	run -64 voip-ext set 1001@a.example.com created_at=now
	[[ $output == *"cannot be written"* ]]
	run -64 voip-ext show
	[[ $output == *"'show' needs a key"* ]]
}

@test "nasty names are refused, or kept to the byte" {
	local name
	for name in "1'; drop table voip.users; --" $'1\n2' '1 2' '%s' 'x/y' \
		"$(printf '%065d' 0)" '${system(id)}' 'é'; do
		run -65 voip-ext add "$name@a.example.com" password=x
	done
	for name in "O'Brien; \"drop\" \\ %s" 'Zoë <b>&amp;' '${system id}' '名前' '-n'; do
		voip-ext user set 1001@a.example.com full_name="$name"
		[ "$(voip-ext user show 1001@a.example.com -f jsonl |
			grep -o '"full_name":"\([^"\\]\|\\.\)*"')" = \
			"\"full_name\":$(PGUSER=postgres sql "select to_json(full_name)
				from voip.users where username = '1001' and domain_id =
				(select id from voip.domains where domain = 'a.example.com')")" ]
		[ "$(as_owner "select full_name from voip.users where username = '1001'
			and full_name <> ''")" = "$name" ]
	done
	run -65 voip-ext user set 1001@a.example.com full_name=$'a\tb'
	run -65 voip-ext user set 1001@a.example.com full_name=$'\xff\xfe'
}

@test "each format holds the same rows" {
	run -0 voip-ext queue list --domain b.example.com --format=json
	[ "$(grep -c '"queue":"sales@b.example.com"' <<<"$output")" -eq 1 ]
	[[ $output == *'"strategy":"top-down","max_wait_time":300,'*'"tier_rules_apply":true'* ]]
	run -0 voip-ext queue list --domain b.example.com --format=csv
	[[ ${lines[1]} == 'sales@b.example.com,,top-down,300,'* ]]
	run -0 voip-ext queue list --domain b.example.com
	[[ ${lines[0]} == 'queue '*'extension '*'strategy '* ]]
	run -64 voip-ext list --format=xml
}

@test "--dry-run makes every check and changes nothing" {
	before=$(as_owner 'select count(*) from voip.audit')
	run -0 voip-ext --dry-run add 1080@a.example.com password=x
	run -1 voip-ext --dry-run domain rm a.example.com
	run -1 voip-ext show 1080@a.example.com
	[ "$(as_owner 'select count(*) from voip.audit')" = "$before" ]
}

@test "secrets that must be sent are sealed with the key file" {
	run -0 voip-ext trunk add carrier1 host=sip.example.net username=u password=- <<<'t0psecret'
	[ "$(field trunk carrier1 password)" = '********' ]
	[ "$(as_owner "select substr(password, 1, 1) = '\\x01',
		position('t0psecret'::bytea in password) from voip.trunks")" = $'t\t0' ]
	chmod 644 "$VOIP_SECRET_KEY_FILE"
	run -78 voip-ext trunk set carrier1 password=x
	[[ $output == *"is open to others"*"hint: chmod 0640"* ]]
	rm "$VOIP_SECRET_KEY_FILE"
	run -78 voip-ext trunk set carrier1 password=x
	[[ $output == *"cannot open key file"* ]]
}

@test "the audit names who did it" {
	voip-ext add 1090@a.example.com password=x
	[ "$(as_owner "select distinct actor, program from voip.audit
		where key = '1090'")" = "os:${SUDO_USER:-$(id -un)}"$'\tvoip-ext' ]
}

@test "every kind of thing can be added, shown, listed and removed" {
	local entity key fields
	while read -r entity key fields; do
		echo "$entity $key"
		# shellcheck disable=SC2086 # a list of fields
		voip-ext "$entity" add "$key" $fields
		[ "$(field "$entity" "$key" "$entity")" = "$key" ]
		[ "$(voip-ext "$entity" list -f tsv | cut -f1 | grep -cxF "$key")" -eq 1 ]
	done <<-'END'
		ivr main@b.example.com timeout_seconds=7
		entry main/1@b.example.com action=queue action_data=sales
		voicemail 1001@b.example.com pin=1234
		conference 3000@b.example.com max_members=5
		group ring@b.example.com
		groupmember ring/1001@b.example.com position=2
		member sales/1001@b.example.com tier=2
		trunk carrier2 host=192.0.2.1 domain=b.example.com
		policy Everything record_inbound=true
		node sip:192.0.2.11:5080 weight=10
		address 192.0.2.0/24 tag=office
		emergency 112 trunk=carrier2
		user carol@b.example.com role=admin
		extension 0X.@b.example.com trunk=carrier2
	END
	run -1 voip-ext trunk rm carrier2
	[[ $output == *"is in use by extension '0X.@b.example.com', emergency '112'"* ]]
	for key in 'extension 0X.@b.example.com' 'emergency 112' 'trunk carrier2' \
		'entry main/1@b.example.com' 'ivr main@b.example.com' \
		'groupmember ring/1001@b.example.com' 'group ring@b.example.com' \
		'node sip:192.0.2.11:5080' 'address 192.0.2.0/24' \
		'policy Everything' 'conference 3000@b.example.com' \
		'voicemail 1001@b.example.com' 'user carol@b.example.com' \
		'member sales/1001@b.example.com'; do
		# shellcheck disable=SC2086 # two words
		run -0 voip-ext ${key%% *} rm "${key#* }"
		run -1 voip-ext "${key%% *}" show "${key#* }"
	done
}

@test "a database that is away is a temporary failure" {
	PGHOST=127.0.0.1 PGPORT=1 run -75 voip-ext list
}

@test "each entity and each of its fields is in the manual" {
	local entity name
	for entity in $(voip-ext frobnicate 2>&1 | sed -n 's/^hint: entities: \(.*\); verbs.*/\1/p'); do
		grep -q "^\.It Cm $entity Ar" man/voip-ext.1
		voip-ext fields "$entity" --format=tsv | tail -n +2 | cut -f1 |
			while read -r name; do
				sed -n "/^\.It Cm $entity Ar/,/^\.It Cm [a-z]* Ar/p" man/voip-ext.1 |
					grep -q "^\.It Cm $name Pq" || {
					echo "$entity has $name"
					exit 1
				}
			done
	done
}
