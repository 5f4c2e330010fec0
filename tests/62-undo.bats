#!/usr/bin/env bats
# Change sets: who did what, what undo takes back, and what it refuses.
# shellcheck disable=SC2154,SC2030,SC2031 # each test is a subshell

load helper

setup_file() {
	clone_db
	export PGUSER=voip_ext
	secret=$(mktemp -d)
	export secret VOIP_SECRET_KEY_FILE=$secret/key
	(umask 077 && printf '%064d\n' 7 >"$secret/key")
	voip-ext domain add a.example.com
	voip-ext user add anna@a.example.com
	voip-ext queue add desk@a.example.com
	voip-ext group add all@a.example.com
	voip-ext ivr add door@a.example.com
}

teardown_file() {
	drop_db
	rm -rf "$secret"
}

look() {
	PGUSER=postgres sql "$1"
}

# Every row of the directory, secrets too, but for the time of its last change.
state() {
	PGUSER=postgres psql -XqAt <<-'SQL'
	select format('select %L, to_jsonb(t) - ''updated_at'' from voip.%I as t
		order by t.id;', c.relname, c.relname)
	from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
	where t.tgname = 'changed_insert' order by 1 \gexec
	SQL
}

# The number of the last change set.
last() {
	look 'select max(id) from voip.change'
}

undo() {
	voip-ext undo "$1" -f tsv | tail -n 1 | cut -f1
}

# ENTITY KEY CHANGE FIELD=VALUE...: add, set and rm, each back and forth.
back_and_forth() {
	local entity=$1 key=$2 change=$3 before added changed add set rm id

	shift 3
	before=$(state)
	voip-ext "$entity" add "$key" "$@" >/dev/null
	add=$(last)
	added=$(state)
	voip-ext "$entity" set "$key" "$change"
	set=$(last)
	changed=$(state)
	voip-ext "$entity" rm "$key" >/dev/null
	rm=$(last)
	[ "$(state)" = "$before" ]
	id=$(undo "$rm")
	[ "$(state)" = "$changed" ]
	id=$(undo "$id")
	[ "$(state)" = "$before" ]
	undo "$id"
	[ "$(state)" = "$changed" ]
	id=$(undo "$set")
	[ "$(state)" = "$added" ]
	id=$(undo "$id")
	[ "$(state)" = "$changed" ]
	undo "$id"
	id=$(undo "$add")
	[ "$(state)" = "$before" ]
	id=$(undo "$id")
	[ "$(state)" = "$added" ]
	undo "$id"
	[ "$(state)" = "$before" ]
}

@test "what is added, changed and removed of each entity is undone and redone" {
	run -64 voip-ext nonsense
	entities=$(sed -n 's/.*entities: \(.*\); verbs.*/\1/p' <<<"$output")
	while read -r entity rest; do
		eval "back_and_forth $entity $rest" || {
			echo "$entity"
			return 1
		}
		entities=" $entities " entities=${entities/ $entity / }
	done <<-'TABLE'
	domain other.example.com tenant_name=Other max_calls=3
	user bert@a.example.com password=x password=y reverse_auth_pass=z cidr=10.0.0.0/8
	extension 100@a.example.com description=desk queue=desk service_ref='{"a":null,"b":[1]}'
	queue support@a.example.com strategy=random max_wait_time=9 extension=77
	member desk/anna@a.example.com tier=3 position=2
	group team@a.example.com description=Team
	groupmember all/anna@a.example.com position=4
	ivr menu@a.example.com timeout_seconds=7
	entry door/1@a.example.com order_num=3 action=transfer action_data=200
	voicemail 200@a.example.com pin=99 pin=1234
	conference 300@a.example.com record=true moderator_pin=99
	trunk carrier1 password=new host=sip.example.net password=old
	policy Long retention_days=400
	node sip:10.0.0.11:5080 weight=9
	address 192.0.2.0/24 tag=office
	emergency 112 description=rescue
	key billing active=false permissions='{"cdr":"read"}'
	admin carla active=false domain=a.example.com
	TABLE
	[ -z "${entities// /}" ] || {
		echo "not in the table: $entities"
		return 1
	}
}

@test "a whole comes back with its parts, and what went with --cascade too" {
	voip-ext queue add whole@a.example.com
	voip-ext member add whole/anna@a.example.com tier=4
	voip-ext add 4001@a.example.com queue=whole
	before=$(state)
	voip-ext queue rm whole@a.example.com --cascade >/dev/null
	[ "$(state)" != "$before" ]
	run -0 voip-ext log "$(last)" -f tsv
	[[ $output == *$'\nmember\twhole/anna@a.example.com\trm\t'* ]]
	undo "$(last)"
	[ "$(state)" = "$before" ]
	voip-ext domain add gone.example.com
	voip-ext add 1@gone.example.com password=x
	voip-ext domain rm gone.example.com --cascade >/dev/null
	id=$(undo "$(last)")
	run -0 voip-ext show 1@gone.example.com
	undo "$id"
	run -1 voip-ext domain show gone.example.com
}

@test "several changes of one row in one transaction are one step" {
	voip-ext user add steps@a.example.com full_name=A password=one
	before=$(state)
	psql -Xq -v ON_ERROR_STOP=1 <<-'SQL'
	begin;
	update voip.users set full_name = 'B' where username = 'steps';
	update voip.users set full_name = 'C', ha1 = md5('x'), email = 'a@b'
		where username = 'steps';
	update voip.users set username = 'renamed', ha1 = md5('z'), ha1b = md5('y'),
		ha1_sha256 = null where username = 'steps';
	delete from voip.users where username = 'renamed';
	insert into voip.groups (domain_id, name) select id, 'brief'
		from voip.domains where domain = 'a.example.com';
	delete from voip.groups where name = 'brief';
	commit;
	SQL
	undo "$(last)"
	[ "$(state)" = "$before" ]
}

@test "undo brings back the very HA1, sealed secret and key hash" {
	voip-ext user add s@a.example.com password=Swordfish-1 reverse_auth_pass=Swordfish-2
	voip-ext conference add 500@a.example.com pin=Swordfish-3
	voip-ext key add robot >/dev/null
	values="select u.ha1, u.ha1b, u.ha1_sha256, u.reverse_auth_pass, c.pin, k.hash
		from voip.users as u, voip.conferences as c, voip.api_keys as k
		where u.username = 's' and c.number = '500' and k.key_name = 'robot'"
	before=$(look "$values")
	[ -n "$before" ]
	voip-ext user rm s@a.example.com
	first=$(last)
	voip-ext conference set 500@a.example.com pin=other
	second=$(last)
	voip-ext key set robot secret=random >/dev/null
	undo "$(last)"
	undo "$second"
	undo "$first"
	[ "$(look "$values")" = "$before" ]
}

@test "no secret is in the log, the audit or the change sets, and no role reads those that are kept" {
	word=Swordfish-77
	voip-ext user add hid@a.example.com password=$word reverse_auth_pass=$word
	ha1=$(look "select ha1 from voip.users where username = 'hid'")
	voip-ext user set hid@a.example.com password=other
	voip-ext trunk add hidden host=192.0.2.1 password=$word
	voip-ext trunk rm hidden
	voip-ext key add hidden >/dev/null
	hash=$(look "select hash from voip.api_keys where key_name = 'hidden'")
	voip-ext key rm hidden
	all=$(for id in $(look 'select id from voip.change'); do
		voip-ext log "$id" -f jsonl
	done
	voip-ext log --limit 1000 -f jsonl
	look 'select t::text from voip.change as t'
	look 'select t::text from voip.audit as t'
	look 'select t::text from voip.change_part as t')
	[[ $all == *'********'* ]]
	for value in "$word" "$ha1" "$hash" \
		"$(printf %s "$word" | od -An -tx1 | tr -d ' \n')"; do
		[ -n "$value" ]
		[[ $all != *"$value"* ]]
	done
	run -0 look "select count(*) > 0 from voip.audit_secret
		where before ->> 'ha1' = '$ha1'"
	[ "$output" = t ]
	run -0 look 'select count(*) from voip.audit_secret as t
		where t::text ~ '"'Swordfish|\\\\x53776f7264'"
	[ "$output" = 0 ]
	run -0 look "select string_agg(r.rolname, ' ') from pg_roles as r
		where r.rolname ~ '^(voip_|kamailio|freeswitch)'
		and r.rolname <> 'voip_owner'
		and has_table_privilege(r.oid, 'voip.audit_secret', 'select')"
	[ -z "$output" ]
}

@test "what a later change built upon is refused, and the change and row are named" {
	voip-ext user add later@a.example.com
	add=$(last)
	voip-ext user set later@a.example.com full_name=B
	name=$(last)
	voip-ext user set later@a.example.com email=a@b.example
	mail=$(last)
	run -1 voip-ext undo "$add"
	[ "$output" = "voip-ext: change $add cannot be undone: change $mail changed user 'later@a.example.com' later
hint: undo change $mail first" ]
	# another field of the same row does not matter
	undo "$name"
	voip-ext user set later@a.example.com email=c@d.example
	run -1 voip-ext undo "$mail"
	[[ $output == *"change $(last) changed user 'later@a.example.com' later"* ]]
	undo "$(last)"
	undo "$mail"
	undo "$add"
	run -1 voip-ext user show later@a.example.com
}

@test "what is used, what is needed and gone, and a name that is taken are refused" {
	voip-ext queue add base@a.example.com
	queue=$(last)
	voip-ext member add base/anna@a.example.com
	member=$(last)
	run -1 voip-ext undo "$queue"
	[ "$output" = "voip-ext: change $queue cannot be undone: member 'base/anna@a.example.com' of change $member uses what would go
hint: undo change $member first" ]
	voip-ext member rm base/anna@a.example.com
	member=$(last)
	voip-ext queue rm base@a.example.com
	gone=$(last)
	run -1 voip-ext undo "$member"
	[ "$output" = "voip-ext: change $member cannot be undone: queue 'base@a.example.com' is gone since change $gone
hint: undo change $gone first" ]
	voip-ext queue add base@a.example.com
	run -1 voip-ext undo "$gone"
	[ "$output" = "voip-ext: change $gone cannot be undone: queue 'base@a.example.com' of change $(last) has the name or number now" ]
	[ "$(look "select undone_by is null from voip.change where id = $gone")" = t ]
}

@test "a name does not come back under a secret that is bound to the new one" {
	voip-ext user add old@a.example.com
	voip-ext user set old@a.example.com username=new
	rename=$(last)
	voip-ext user set new@a.example.com password=x
	run -1 voip-ext undo "$rename"
	[ "$output" = "voip-ext: change $rename cannot be undone: user 'new@a.example.com' has a secret of change $(last), which would be useless under its old name" ]
	undo "$(last)"
	undo "$rename"
	run -0 voip-ext user show old@a.example.com
}

@test "undo wants the number of a change set that is there and not undone" {
	for words in '' x '1 2' '-- -1' 1x; do
		# shellcheck disable=SC2086
		run -64 voip-ext undo $words
		[[ $output == "voip-ext: 'undo' needs the number of a change set"* ]]
	done
	run -1 voip-ext undo 999999999
	[ "$output" = "voip-ext: change 999999999 does not exist" ]
	voip-ext user add once@a.example.com
	id=$(last)
	undo "$id"
	run -1 voip-ext undo "$id"
	[[ $output == "voip-ext: change $id was undone by change $(last)"* ]]
	sql "begin; insert into voip.groups (domain_id, name) values (1, 'x');
		delete from voip.groups where name = 'x'; commit"
	run -1 voip-ext undo "$(last)"
	[[ $output == *"left nothing changed that could be undone" ]]
}

@test "two that undo the same change at once: one does, one is told" {
	voip-ext user add twice@a.example.com
	id=$(last)
	voip-ext undo "$id" >/dev/null 2>"$BATS_TEST_TMPDIR/1" &
	one=$!
	voip-ext undo "$id" >/dev/null 2>"$BATS_TEST_TMPDIR/2" &
	two=$!
	first=0 second=0
	wait "$one" || first=$?
	wait "$two" || second=$?
	[ "$((first + second))" -eq 1 ]
	[[ $(cat "$BATS_TEST_TMPDIR"/[12]) == "voip-ext: change $id was undone by change "* ]]
	run -1 voip-ext user show twice@a.example.com
}

@test "a change under way of the same row is waited for, and then named" {
	voip-ext user add wait@a.example.com full_name=A
	voip-ext user set wait@a.example.com full_name=B
	id=$(last)
	mkfifo "$BATS_TEST_TMPDIR/in"
	psql -Xq <"$BATS_TEST_TMPDIR/in" >/dev/null 3>&- &
	exec 4>"$BATS_TEST_TMPDIR/in"
	echo "begin; update voip.users set full_name = 'C'
		where username = 'wait'; select 1;" >&4
	blocked() {
		[ "$(look "select count(*) from pg_stat_activity
			where datname = current_database()
			and wait_event_type = '$1' and query ~ '$2'")" -ge 1 ]
	}
	wait_for blocked Client 'select 1'
	voip-ext undo "$id" 2>"$BATS_TEST_TMPDIR/err" >/dev/null 3>&- 4>&- &
	pid=$!
	wait_for blocked Lock voip.undo
	echo 'commit;' >&4
	exec 4>&-
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 1 ]
	grep -q "changed user 'wait@a.example.com' later" "$BATS_TEST_TMPDIR/err"
}

@test "a dry run of undo shows every field and changes nothing" {
	voip-ext user add dry@a.example.com full_name=A
	voip-ext user set dry@a.example.com full_name=B password=x
	before=$(state)
	id=$(last)
	run -0 voip-ext undo "$id" --dry-run -f tsv
	[ "$output" = $'entity\tkey\taction\tfield\tbefore\tafter\nuser\tdry@a.example.com\tset\tfull_name\tB\tA\nuser\tdry@a.example.com\tset\tpassword\t********\t' ]
	[ "$(state)" = "$before" ]
	[ "$(last)" = "$id" ]
}

@test "thousands of rows are undone at once, and told as one" {
	look "insert into voip.users (domain_id, username, ha1, ha1b)
		select id, 'm' || n, md5(n::text), md5('b' || n)
		from voip.domains, generate_series(1, 3000) as n
		where domain = 'a.example.com'"
	add=$(last)
	look "update voip.users set ha1 = md5(ha1), full_name = username
		where username ~ '^m'"
	run -0 voip-ext log "$(last)" --limit 3 -f tsv
	[ "${#lines[@]}" -eq 4 ]
	voip-ext undo "$(last)" >/dev/null
	run -0 look "select count(*) from voip.users where username ~ '^m'
		and ha1 = md5(substr(username, 2)) and full_name = ''"
	[ "$output" = 3000 ]
	run -0 psql -Xq -c 'listen voip_changed' -c "select change from voip.undo($add)"
	[ "$(grep -c 'Asynchronous notification' <<<"$output")" -eq 1 ]
	run -0 look "select count(*) from voip.users where username ~ '^m'"
	[ "$output" = 0 ]
}

@test "the log says who, from where and with which words, without secrets" {
	SUDO_USER=alice SSH_CONNECTION='192.0.2.7 5122 192.0.2.1 22' \
		voip-ext user add who@a.example.com password=Swordfish-9 full_name='A  B'
	run -0 voip-ext log --limit 1 -f jsonl
	[[ $output == *'"command":"user add who@a.example.com password=******** full_name=A  B"'* ]]
	[[ $output == *"\"from\":\"$(hostname) from 192.0.2.7\""* ]]
	[ "$(id -u)" -ne 0 ] || [[ $output == *'"actor":"os:alice"'* ]]
	[[ $output == *'"program":"voip-ext"'*'"rows":1,"undoes":null,"undone_by":null,"summary":"add user who@a.example.com"'* ]]
}

@test "the log is narrowed by time, person, domain and key, also an older one" {
	voip-ext domain add narrow.example.com
	voip-ext user add n1@narrow.example.com
	voip-ext user set n1@narrow.example.com username=n2
	voip-ext user set n2@narrow.example.com full_name=N
	ids() {
		voip-ext log -f tsv "$@" | tail -n +2 | cut -f1 | tr '\n' ' '
	}
	id=$(last)
	[ "$(ids -d narrow.example.com)" = "$id $((id - 1)) $((id - 2)) $((id - 3)) " ]
	[ "$(ids -d narrow.example.com --limit 1)" = "$id " ]
	voip-ext user log n1@narrow.example.com
	run -0 voip-ext user log n1@narrow.example.com -f tsv
	[ "${#lines[@]}" -eq 4 ]
	run -0 voip-ext user log n2@narrow.example.com -f tsv
	[ "${#lines[@]}" -eq 4 ]
	[ "$(ids --since 1h --limit 1)" = "$id " ]
	[ "$(ids --until 1h)" = '' ]
	[ "$(ids --until 2020-01-01)" = '' ]
	[ "$(ids --since 2020-01-01 --limit 1)" = "$id " ]
	[ "$(ids --who nobody-at-all)" = '' ]
	[ "$(ids --who voip_ext --limit 1)" = "$id " ]
	run -65 voip-ext log --since tomorrow
	[[ $output == "voip-ext: --since: 'tomorrow' is not a time"* ]]
	run -64 voip-ext log 1 2
	run -64 voip-ext log --limit -1
	run -1 voip-ext log 999999999
	[ "$output" = "voip-ext: change 999999999 does not exist" ]
}

@test "the log of one change tells every field, and references by their names" {
	voip-ext add 4711@a.example.com queue=desk description='A, "B"'
	run -0 voip-ext log "$(last)" -f csv
	[ "${lines[0]%$'\r'}" = 'entity,key,action,field,before,after' ]
	[[ $output == *'extension,4711@a.example.com,add,queue,,desk'* ]]
	[[ $output == *'extension,4711@a.example.com,add,description,,"A, ""B"""'* ]]
	voip-ext set 4711@a.example.com description=
	run -0 voip-ext log "$(last)" -f jsonl
	[ "$output" = '{"entity":"extension","key":"4711@a.example.com","action":"set","field":"description","before":"A, \"B\"","after":""}' ]
}
