#!/usr/bin/env bats
# voip-ext: fields, order, conditions; ranges and templates; completion;
# reading on a standby; what a refusal says.
# shellcheck disable=SC2154,SC2030,SC2031 # each test is a subshell
# shellcheck disable=SC1003,SC2016,SC2094 # what looks like it is meant so

load helper

setup_file() {
	clone_db
	export PGUSER=voip_ext
	secret=$(mktemp -d)
	export secret VOIP_SECRET_KEY_FILE=$secret/key
	(umask 077 && printf '%064d\n' 7 >"$secret/key")
	voip-ext domain add pbx.example.com tenant_name='Example "Ltd"'
	voip-ext domain add other.example.com
	voip-ext queue add sales@pbx.example.com max_wait_time=30
	voip-ext queue add night@pbx.example.com max_wait_time=5
	voip-ext queue add desk@pbx.example.com max_wait_time=120 active=false
	voip-ext add 10@pbx.example.com password=x full_name='Ann Bell' \
		max_calls=3 cidr=10.0.0.0/8,192.0.2.0/24
	voip-ext add 100@pbx.example.com password=x full_name='Bob Anders' \
		max_calls=12
	voip-ext add 10@other.example.com full_name=Cy
	voip-ext add 80@pbx.example.com queue=sales service_ref='{"a":1}'
	voip-ext address add 10.0.0.0/8
	voip-ext address add 9.1.2.3
	voip-ext address add 192.0.2.0/24
	voip-ext member add sales/10@pbx.example.com tier=2
	voip-ext member add night/10@pbx.example.com tier=10
}

teardown_file() {
	PGUSER=postgres drop_db
	rm -rf "$secret"
}

teardown() {
	[ -z "${cluster_base-}" ] || cluster_remove
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

look() {
	PGUSER=postgres sql "$1"
}

# LIST-ARGUMENT...: the first column, in one line.
keys() {
	voip-ext "$@" -f tsv | tail -n +2 | cut -f1 | paste -sd' '
}

@test "--fields chooses the columns and their order, in every format" {
	set -- queue list --fields max_wait_time,key,name,domain 'name=sales'
	run -0 voip-ext "$@" -f tsv
	[ "$output" = $'max_wait_time\tkey\tname\tdomain\n30\tsales@pbx.example.com\tsales\tpbx.example.com' ]
	run -0 voip-ext "$@" -f csv
	[ "$output" = $'max_wait_time,key,name,domain\r\n30,sales@pbx.example.com,sales,pbx.example.com\r' ]
	run -0 voip-ext "$@" -f jsonl
	[ "$output" = '{"max_wait_time":30,"key":"sales@pbx.example.com","name":"sales","domain":"pbx.example.com"}' ]
	run -0 voip-ext "$@" -f json
	[ "$(jq -c . <<<"$output")" = '[{"max_wait_time":30,"key":"sales@pbx.example.com","name":"sales","domain":"pbx.example.com"}]' ]
	run -0 voip-ext "$@"
	[ "${lines[0]}" = "max_wait_time  key                    name   domain" ]
	run -0 voip-ext member show sales/10@pbx.example.com --fields tier,queue,member
	[ "$output" = $'field   value\ntier    2\nqueue   sales\nmember  sales/10@pbx.example.com' ]
	run -0 voip-ext member show sales/10@pbx.example.com --fields tier -f jsonl
	[ "$output" = '{"tier":2}' ]
}

@test "a field that does not exist, comes twice or is none is refused with a hint" {
	run -64 voip-ext queue list --fields name,strateg
	[ "$output" = $'voip-ext: \'queue\' has no field \'strateg\'\nhint: did you mean \'strategy\'?' ]
	run -64 voip-ext list --fields full_name
	[[ $output == *"hint: it is a field of 'user'" ]]
	run -64 voip-ext queue list --fields name,name
	[[ $output == "voip-ext: field 'name' is given twice"* ]]
	run -64 voip-ext queue list --fields ''
	[[ $output == "voip-ext: no field is named"* ]]
	run -64 voip-ext queue add x@pbx.example.com --fields name
	[[ $output == "voip-ext: 'add' takes no --fields, --sort or --where"* ]]
	run -64 voip-ext queue list --sort 'name; drop table voip.queues'
	[[ $output == *"'queue' has no field 'name; drop table voip.queues'"* ]]
}

@test "numbers, networks and times sort as such, names byte by byte" {
	[ "$(keys queue list --sort max_wait_time)" = \
		"night@pbx.example.com sales@pbx.example.com desk@pbx.example.com" ]
	[ "$(keys queue list --sort -max_wait_time)" = \
		"desk@pbx.example.com sales@pbx.example.com night@pbx.example.com" ]
	[ "$(keys address list --sort address)" = "9.1.2.3/32 10.0.0.0/8 192.0.2.0/24" ]
	[ "$(keys member list --sort -tier)" = \
		"night/10@pbx.example.com sales/10@pbx.example.com" ]
	[ "$(keys user list --sort -created_at,key)" = \
		"10@other.example.com 100@pbx.example.com 10@pbx.example.com" ]
	run -64 voip-ext user list --sort password
	[[ $output == *"field 'password' is secret and has no order"* ]]
}

@test "what is empty comes last, upwards and downwards" {
	[ "$(keys user list --sort max_calls)" = \
		"10@pbx.example.com 100@pbx.example.com 10@other.example.com" ]
	[ "$(keys user list --sort -max_calls)" = \
		"100@pbx.example.com 10@pbx.example.com 10@other.example.com" ]
}

@test "without --sort the order is domain, then key: 10 before 100" {
	[ "$(keys list)" = \
		"10@other.example.com 10@pbx.example.com 100@pbx.example.com 80@pbx.example.com" ]
}

@test "conditions compare as their types do, and all must fit" {
	[ "$(keys user list 'max_calls>3')" = 100@pbx.example.com ]
	[ "$(keys user list 'max_calls>=3' --where 'max_calls<=3')" = 10@pbx.example.com ]
	[ "$(keys user list 'max_calls != 3')" = "10@other.example.com 100@pbx.example.com" ]
	[ "$(keys user list max_calls=)" = 10@other.example.com ]
	[ "$(keys user list 'max_calls!=')" = "10@pbx.example.com 100@pbx.example.com" ]
	[ "$(keys queue list active=no)" = desk@pbx.example.com ]
	[ "$(keys queue list active!=f --where name!=sales)" = night@pbx.example.com ]
	[ "$(keys list type=queue)" = 80@pbx.example.com ]
	[ "$(keys list 'service_ref={ "a" : 1 }')" = 80@pbx.example.com ]
	[ "$(keys user list password=)" = 10@other.example.com ]
	[ "$(keys member list queue=night)" = night/10@pbx.example.com ]
	[ "$(keys list domain=other.example.com)" = 10@other.example.com ]
	[ "$(keys list queue=sales)" = 80@pbx.example.com ]
	[ "$(keys user list 'full_name<B')" = 10@pbx.example.com ]
}

@test "~ finds a part in any case, ^= a beginning, and a network what is in it" {
	[ "$(keys user list 'full_name~BELL')" = 10@pbx.example.com ]
	[ "$(keys user list 'full_name ~ an')" = "10@pbx.example.com 100@pbx.example.com" ]
	[ "$(keys user list 'full_name^=An')" = 10@pbx.example.com ]
	[ "$(keys user list 'full_name~%')" = "" ]
	[ "$(keys address list address~10.9.9.9)" = 10.0.0.0/8 ]
	[ "$(keys address list 'address>9.9.9.9' 'address^=10')" = 10.0.0.0/8 ]
	[ "$(keys user list cidr~192.0.2.7)" = 10@pbx.example.com ]
	[ "$(keys user list cidr=10.0.0.0/8,192.0.2.0/24)" = 10@pbx.example.com ]
	[ "$(keys list 'service_ref~"a"')" = 80@pbx.example.com ]
}

@test "times are compared in UTC, to the second, and by their beginning" {
	at=$(voip-ext domain show pbx.example.com --fields created_at -f tsv | tail -n 1)
	[ "$(keys domain list "created_at=$at" domain=pbx.example.com)" = pbx.example.com ]
	[ "$(keys domain list 'created_at<2026-01-01')" = "" ]
	[ "$(keys domain list 'created_at>2020-01-31T12:00+01:00' key^=pbx)" = pbx.example.com ]
	[ "$(keys domain list "created_at^=${at%%-*}" key^=pbx)" = pbx.example.com ]
	run -65 voip-ext domain list 'created_at>2026-02-30'
	[[ $output == *"field 'created_at' of 'domain': '2026-02-30' is not a time"* ]]
}

@test "a key in a condition is the number, or with a domain the one row" {
	[ "$(keys list extension=10)" = "10@other.example.com 10@pbx.example.com" ]
	[ "$(keys list extension=10@pbx.example.com)" = 10@pbx.example.com ]
	[ "$(keys list key=10@pbx.example.com)" = 10@pbx.example.com ]
	[ "$(keys queue list name=sales)" = sales@pbx.example.com ]
	[ "$(keys queue list queue=sales@pbx.example.com)" = sales@pbx.example.com ]
}

@test "a wrong condition names the field and what may be asked" {
	run -64 voip-ext queue list --where active
	[[ $output == "voip-ext: 'active' is no condition"*"hint: FIELD OPERATOR VALUE"* ]]
	run -64 voip-ext queue list 'strategy>x'
	[ "$output" = $'voip-ext: field \'strategy\' of \'queue\' (choice) has no operator \'>\'\nhint: = != ~ ^=' ]
	run -64 voip-ext queue list 'max_wait_time~3'
	[[ $output == *"(number) has no operator '~'"*"hint: = != < <= > >=" ]]
	run -65 voip-ext queue list 'max_wait_time>many'
	[[ $output == *"field 'max_wait_time' of 'queue': 'many' is not a number"* ]]
	run -65 voip-ext queue list strategy=fastest
	[[ $output == *"'fastest' is none of: "* ]]
	run -65 voip-ext address list address~10
	[[ $output == *"field 'address' of 'address': "* ]]
	run -64 voip-ext user list password=secret
	[[ $output == *"field 'password' is secret"*"'password=' finds those without"* ]]
	run -64 voip-ext queue list 'name>'
	[[ $output == *"'name>' needs a value"* ]]
	run -64 voip-ext queue list 'nam=x'
	[[ $output == *"hint: did you mean 'name'?"* ]]
}

@test "any text may be asked for, and is never SQL" {
	for text in "'; drop table voip.users; --" '\' '%_' '$1' '"' "a''b"; do
		[ "$(keys user list "full_name=$text" --where "full_name~$text")" = "" ]
	done
	[ "$(look 'select count(*) from voip.users')" = 3 ]
}

@test "show with --where answers by its status" {
	run -0 voip-ext show 80@pbx.example.com --where active=true --fields type -f tsv
	run -1 voip-ext show 80@pbx.example.com --where active=false
	[ "$output" = "voip-ext: extension '80@pbx.example.com' is not as --where says" ]
	run -1 voip-ext show 81@pbx.example.com --where active=true
	[ "$output" = "voip-ext: extension '81@pbx.example.com' does not exist" ]
}

@test "a list of any length is whole, and a long table goes on after its first rows" {
	voip-ext domain add long.example.com
	voip-ext add 10000-12500@long.example.com type=user
	for format in tsv csv jsonl; do
		run -0 bash -c "voip-ext list -d long.example.com -f $format |
			grep -c '12500@\|1[0-2][0-9][0-9][0-9]@'"
		[ "$output" = 2501 ]
	done
	voip-ext list -d long.example.com -f json >list
	[ "$(jq length list)" = 2501 ]
	voip-ext set 12500@long.example.com \
		description='much wider than whatever was in the first thousand'
	voip-ext list -d long.example.com --fields description,key >list
	[ "$(wc -l <list)" = 2502 ]
	[ "$(tail -n 1 list)" = 'much wider than whatever was in the first thousand  12500@long.example.com' ]
	[ "$(sed -n 2501p list)" = '             12499@long.example.com' ]
}

@test "long work is told on a terminal only, and the line is erased" {
	conf-tool progress 2>err
	[ ! -s err ]
	script -qec 'conf-tool progress' /dev/null </dev/null >out
	grep -qF $'\r\e[Kwork: 50%, 5 of 10 things, ' out
	[[ $(<out) == *$'\r\e[K' ]]
	TERM=dumb script -qec 'conf-tool progress' /dev/null </dev/null >out
	[ ! -s out ]
}

@test "a range is added with its users, digits kept, secrets printed once" {
	run -0 voip-ext add 0098-0103@pbx.example.com password=random \
		full_name='Phone {number}' -f tsv
	[ "${#lines[@]}" = 7 ]
	[ "${lines[0]}" = $'extension\tpassword' ]
	[ "$(cut -f2 <<<"$output" | sort -u | wc -l)" = 7 ]
	[ "$(tail -n +2 <<<"$output" | cut -f1 | paste -sd' ')" = "$(
		printf '%s@pbx.example.com ' 0098 0099 0100 0101 0102 0103 | sed 's/ $//')" ]
	while IFS=$'\t' read -r key password; do
		number=${key%@*}
		[ "$(look "select u.ha1, u.full_name, e.type, u.ha1b, u.ha1_sha256
			from voip.extensions as e join voip.users as u on u.id = e.user_id
			where extension = '$number' and username = '$number'")" = \
			"$(md5 "$number:pbx.example.com:$password")"$'\t'"Phone $number"$'\tuser\t'"$(
			md5 "$key:pbx.example.com:$password")"$'\t'"$(
			printf %s "$number:pbx.example.com:$password" | sha256sum | cut -d' ' -f1)" ]
	done < <(tail -n +2 <<<"$output")
	run -0 voip-ext rm 0098-0103@pbx.example.com
	[ "$(look "select count(*) from voip.users where username like '01%'")" = 0 ]
}

md5() {
	printf %s "$1" | md5sum | cut -d' ' -f1
}

@test "a range with one that exists is refused as a whole, by name" {
	voip-ext user add 203@pbx.example.com
	run -1 voip-ext add 200-209@pbx.example.com password=random
	[ "$output" = "voip-ext: user '203@pbx.example.com' exists already; nothing was added" ]
	voip-ext add 204-208@pbx.example.com type=queue queue=sales
	run -1 voip-ext add 200-209@pbx.example.com password=random
	[ "$output" = "voip-ext: extension '204@pbx.example.com', '205@pbx.example.com', '206@pbx.example.com' and 2 more exist already; nothing was added" ]
	[ "$(keys list 'key^=20')" = \
		"204@pbx.example.com 205@pbx.example.com 206@pbx.example.com 207@pbx.example.com 208@pbx.example.com" ]
	voip-ext rm 200-209@pbx.example.com
	voip-ext user rm 203@pbx.example.com
}

@test "a range that is none, too large or of a wrong field is refused" {
	run -65 voip-ext add 300-299@pbx.example.com password=x
	[[ $output == "voip-ext: the range '300-299' ends before it begins"* ]]
	run -65 voip-ext add 1-100@pbx.example.com password=x
	[[ $output == *"have not as many digits"*"hint: 001-100"* ]]
	run -65 voip-ext add 100000-999999@pbx.example.com password=x
	[ "$output" = "voip-ext: the range '100000-999999' has 900000 numbers; 10000 are the most of one command" ]
	run -65 voip-ext add 300-301@pbx.example.com password=x email='{number}'
	[[ $output == *"field 'email' of user '300@pbx.example.com': "* ]]
	run -64 voip-ext voicemail add 300-301@pbx.example.com pin=random
	[[ $output == *"field 'pin' is not for a range"* ]]
	run -1 voip-ext add 300-301@nowhere.example.com password=x
	[[ $output == *"domain 'nowhere.example.com' does not exist"* ]]
	[ "$(keys list 'key^=30')" = "" ]
}

@test "a name that only looks like a range is a name" {
	voip-ext queue add 2024-2025@pbx.example.com
	run -0 voip-ext queue show 2024-2025@pbx.example.com
	voip-ext queue rm 2024-2025@pbx.example.com
}

@test "set and rm of a range take those that there are" {
	voip-ext add 400-402@pbx.example.com password=x
	run -0 voip-ext set 398-401@pbx.example.com description='room {number}' \
		password=random -f csv
	[ "${#lines[@]}" = 3 ]
	[[ ${lines[1]} == 400@pbx.example.com,* && ${lines[2]} == 401@pbx.example.com,* ]]
	password=${lines[2]#*,}
	[ "$(look "select ha1 from voip.users where username = '401'")" = \
		"$(md5 "401:pbx.example.com:${password%$'\r'}")" ]
	[ "$(voip-ext list 'key^=40' --fields description -f tsv | paste -sd,)" = \
		"description,room 400,room 401," ]
	run -0 voip-ext rm 390-499@pbx.example.com
	run -1 voip-ext rm 390-499@pbx.example.com
	[ "$output" = "voip-ext: no extension of '390-499@pbx.example.com' exists" ]
}

@test "a range is one change set, and a dry run leaves nothing" {
	before=$(look 'select count(distinct change_id) from voip.audit')
	run -0 voip-ext -n add 500-509@pbx.example.com password=random
	[ "$output" = "" ]
	[ "$(keys list 'key^=50')" = "" ]
	voip-ext add 500-509@pbx.example.com password=x
	[ "$(look 'select count(distinct change_id) from voip.audit')" = $((before + 1)) ]
	voip-ext rm 500-509@pbx.example.com
}

@test "a template gives its fields and its user's, without secrets and names" {
	voip-ext add 600@pbx.example.com password=x full_name=Zed email=z@example.com \
		role=supervisor max_calls=4 toll_allow=all description=desk \
		caller_id_number=600 cidr=10.0.0.0/8 service_ref='{"b":2}'
	voip-ext add 601-602@pbx.example.com template=600 max_calls=5
	run -0 voip-ext user show 602@pbx.example.com -f jsonl --fields \
		full_name,email,role,max_calls,toll_allow,caller_id_number,cidr,password
	[ "$output" = '{"full_name":"","email":null,"role":"supervisor","max_calls":5,"toll_allow":"all","caller_id_number":null,"cidr":"10.0.0.0/8","password":null}' ]
	run -0 voip-ext show 602@pbx.example.com -f jsonl --fields type,user,description,service_ref
	[ "$output" = '{"type":"user","user":"602","description":"desk","service_ref":{"b": 2}}' ]
	voip-ext add 603@pbx.example.com template=80@pbx.example.com
	run -0 voip-ext show 603@pbx.example.com -f jsonl --fields type,queue,service_ref
	[ "$output" = '{"type":"queue","queue":"sales","service_ref":{"a": 1}}' ]
	voip-ext add 604@pbx.example.com template=600 queue=sales
	run -0 voip-ext show 604@pbx.example.com -f jsonl --fields type,queue,user,description
	[ "$output" = '{"type":"queue","queue":"sales","user":null,"description":"desk"}' ]
	voip-ext queue add copy@pbx.example.com template=night
	run -0 voip-ext queue show copy@pbx.example.com --fields max_wait_time -f jsonl
	[ "$output" = '{"max_wait_time":5}' ]
	run -65 voip-ext add 605@pbx.example.com template=none
	[ "$output" = "voip-ext: the template, extension 'none@pbx.example.com', does not exist" ]
	run -65 voip-ext add 605@pbx.example.com template=10@other.example.com
	[[ $output == *"is of another domain than 'pbx.example.com'"* ]]
	voip-ext rm 600-605@pbx.example.com
	voip-ext queue rm copy@pbx.example.com
}

@test "--secrets-to keeps the secrets in a new file that only its owner reads" {
	run -0 voip-ext add 700-701@pbx.example.com password=random -f tsv \
		--secrets-to secrets
	[ "$output" = "" ]
	[ "$(stat -c %a secrets)" = 600 ]
	[ "$(head -n 1 secrets)" = $'extension\tpassword' ]
	password=$(sed -n 's/^701@pbx.example.com\t//p' secrets)
	[ "$(look "select ha1 from voip.users where username = '701'")" = \
		"$(md5 "701:pbx.example.com:$password")" ]
	run -71 voip-ext add 702@pbx.example.com password=random --secrets-to secrets
	[ "$output" = "voip-ext: cannot create 'secrets': File exists" ]
	run -71 bash -c 'ulimit -f 1; trap "" XFSZ
		exec voip-ext add 710-799@pbx.example.com password=random --secrets-to none'
	[ "$output" = "voip-ext: 'none': cannot write to the output: File too large" ]
	[ ! -e none ]
	run -1 voip-ext show 710@pbx.example.com
	run -64 voip-ext add 702@pbx.example.com password=x --secrets-to none
	[[ $output == *"no secret is made that 'none' could hold"* ]]
	[ ! -e none ]
	run -1 voip-ext show 702@pbx.example.com
	run -64 voip-ext list --secrets-to none
	[[ $output == *"--secrets-to is not for 'list'"* ]]
	voip-ext rm 700-702@pbx.example.com
}

# A Tab waits for the database no longer than this; a test machine is slow.
export _voip_wait=60

# LINE [FUNCTION]: what bash would offer, in one line.
complete_line() {
	bash -c 'source <(voip-ext completion bash)
		COMP_LINE=$1 COMP_POINT=${#1}
		"$2" "${1%% *}"
		echo "${COMPREPLY[*]}"' - "$1" "${2:-_voip_ext}"
}

@test "completion knows verbs, entities, fields, values and options" {
	voip-ext completion bash | shellcheck -s bash -
	[ "$(complete_line 'voip-ext queue s')" = "set show" ]
	[ "$(complete_line 'voip-ext voicem')" = voicemail ]
	[ "$(complete_line 'voip-ext user add x@pbx.example.com full')" = full_name= ]
	[ "$(complete_line 'voip-ext add 1@pbx.example.com full')" = full_name= ]
	[ "$(complete_line 'voip-ext user set x@pbx.example.com role=s')" = supervisor ]
	[ "$(complete_line 'voip-ext queue list active=')" = "true false" ]
	[ "$(complete_line 'voip-ext --format js')" = "json jsonl" ]
	[ "$(complete_line 'voip-ext list --fields key,ty')" = key,type ]
	[ "$(complete_line 'voip-ext list --where need')" = need_media= ]
	[ "$(complete_line 'voip-ext list --dry')" = --dry-run ]
	[ "$(complete_line 'voip-ext add 1@pbx.example.com tem')" = template= ]
	[ "$(complete_line 'voip-ext fields voic')" = voicemail ]
	[ "$(complete_line 'voip-ext fields voicemail ')" = "" ]
	[ "$(complete_line 'voip-ext list --fields=key,ty')" = key,type ]
	[ "$(complete_line 'voip-ext doctor queue')" = queue-without-members ]
	# Each field once, and none that cannot be written.
	[ "$(complete_line 'voip-ext user add x@pbx.example.com role=agent rol')" = "" ]
	[ "$(complete_line 'voip-ext user add x@pbx.example.com created')" = "" ]
	[ "$(complete_line 'voip-ext user list created')" = created_at= ]
	[ "$(complete_line 'voip-ext user add x@pbx.example.com usern')" = "" ]
	[ "$(complete_line 'voip-ext user set x@pbx.example.com usern')" = username= ]
	[ "$(complete_line 'voip-schema gr' _voip_program)" = grant ]
	[ "$(complete_line 'voip-schema --show' _voip_program)" = --show-config ]
	[ "$(complete_line 'voip-watch -n 3 trunk mem' _voip_watch)" = member ]
	[ "$(complete_line 'voip-watch --format ' _voip_watch)" = "jsonl tsv" ]
	[ "$(complete_line 'voip-watch --cou' _voip_watch)" = --count ]
	[ "$(complete_line 'voip-reload -n que' _voip_reload)" = queue ]
	[ "$(complete_line 'voip-reload re' _voip_reload)" = resync ]
	[ "$(complete_line 'voip-reload resync ' _voip_reload)" = "" ]
	[ "$(complete_line 'voip-reload --kam' _voip_reload)" = --kamailio-only ]
	# Without the line, as some shells' tests call it.
	run -0 bash -c 'source <(voip-ext completion bash)
		COMP_WORDS=(voip-ext queue sh) COMP_CWORD=2; _voip_ext
		echo "${COMPREPLY[*]}"'
	[ "$output" = show ]
}

@test "completion takes keys from the database, and runs none of them" {
	voip-ext queue add 'evil $(touch pwned)`touch pwned`@pbx.example.com'
	[ "$(complete_line 'voip-ext show 80')" = 80@pbx.example.com ]
	# bash cuts words at an @, which it replaces too, and at a =.
	[ "$(complete_line 'voip-ext show 80@pbx')" = @pbx.example.com ]
	[ "$(complete_line 'voip-ext show queue nig')" = night@pbx.example.com ]
	[ "$(complete_line 'voip-ext --domain=oth')" = other.example.com ]
	[ "$(complete_line 'voip-ext undo ')" = "$(voip-ext log --limit 20 -f tsv |
		tail -n +2 | cut -f1 | paste -sd' ')" ]
	[ "$(complete_line 'voip-ext add 1@pbx.example.com queue=ni')" = night ]
	[ "$(complete_line 'voip-ext list -d other')" = other.example.com ]
	[ "$(complete_line 'voip-watch -d oth' _voip_watch)" = other.example.com ]
	[ "$(complete_line 'voip-reload -w 1s queue x nig' _voip_reload)" = \
		night@pbx.example.com ]
	[ "$(complete_line 'voip-ext queue show evil')" = \
		'evil\ \$\(touch\ pwned\)\`touch\ pwned\`@pbx.example.com' ]
	[ ! -e pwned ]
	voip-ext queue rm 'evil $(touch pwned)`touch pwned`@pbx.example.com'
	PGHOST=/nonexistent run -0 complete_line 'voip-ext show 80'
	[ "$output" = "" ]
}

@test "Tab in bash completes a key after its @, a field and a value" {
	voip-ext user add tab@pbx.example.com
	printf '%s\n' 'source <(voip-ext completion bash)' \
		$'voip-ext user set tab@pb\tro\tsup\t' exit |
		INPUTRC=/dev/null HISTFILE='' timeout 60 \
			script -qec 'bash --norc --noprofile -i' /dev/null >"$BATS_TEST_TMPDIR/seen"
	run -0 voip-ext user show tab@pbx.example.com --fields role -f tsv
	[ "${lines[1]}" = supervisor ] || cat "$BATS_TEST_TMPDIR/seen"
	[ "${lines[1]}" = supervisor ]
	voip-ext user rm tab@pbx.example.com
}

@test "list --limit ends after so many rows" {
	[ "$(keys queue list --limit 2 --sort -max_wait_time)" = \
		"desk@pbx.example.com sales@pbx.example.com" ]
}

@test "a standby answers what only reads, and says where changes go" {
	# shellcheck source=tests/cluster.bash
	. "$BATS_TEST_DIRNAME/cluster.bash"
	cluster_base
	cluster_init one
	cluster_start one
	export PGHOST=$cluster_base/one PGUSER=voip_ext PGDATABASE=postgres
	export VOIP_DATABASE=dbname=postgres
	PGUSER=postgres voip-schema init >/dev/null
	PGUSER=postgres voip-schema grant
	voip-ext domain add pbx.example.com
	voip-ext add 10@pbx.example.com password=x
	cluster_copy two one
	cluster_start two
	PGHOST=$cluster_base/two wait_for voip-ext show 10@pbx.example.com

	PGHOST=$cluster_base/two
	for words in 'list' 'show 10@pbx.example.com' 'export' 'log' \
		'route 10@pbx.example.com' 'user list --sort -key'; do
		# shellcheck disable=SC2086 # several words
		run -0 voip-ext $words
	done
	run -1 voip-ext doctor
	[[ $output == *"no-media-node"*"faults found" ]]
	run -75 voip-ext set 10@pbx.example.com description=x
	[[ $output == "voip-ext: cannot connect to the database: "*"it is read-only"* ]]
	[[ $output == *$'\nhint: a change needs the primary; name every host in the setting \'database\'' ]]
	# With both, reads take the first that answers and writes the primary.
	PGHOST=$cluster_base/two,$cluster_base/one
	voip-ext set 10@pbx.example.com description=changed
	run -0 voip-ext show 10@pbx.example.com --fields description -f tsv \
		--set "database=dbname=postgres target_session_attrs=primary"
	[ "${lines[1]}" = changed ]
	cluster_stop one immediate
	run -0 voip-ext show 10@pbx.example.com --fields key -f tsv \
		--set "database=dbname=postgres target_session_attrs=prefer-standby"
	run -75 voip-ext rm 10@pbx.example.com
}

@test "a word that is nearly one is told, and so are a domain and a key" {
	run -64 voip-ext uesr list
	[[ $output == "voip-ext: 'uesr' is no entity and no verb"*"hint: did you mean 'user'?"* ]]
	run -64 voip-ext queue lsit
	[[ $output == "voip-ext: 'lsit' is no verb"*"hint: did you mean 'list'?"* ]]
	run -1 voip-ext show 10@pbx.exmaple.com
	[ "$output" = "voip-ext: extension '10@pbx.exmaple.com' does not exist
hint: there is no domain 'pbx.exmaple.com'; did you mean 'pbx.example.com'?" ]
	run -1 voip-ext add 11@pbx.exmaple.com password=x
	[ "$output" = "voip-ext: domain 'pbx.exmaple.com' does not exist
hint: did you mean 'pbx.example.com'?" ]
	run -1 voip-ext queue set slaes@pbx.example.com active=false
	[ "$output" = "voip-ext: queue 'slaes@pbx.example.com' does not exist
hint: did you mean 'sales@pbx.example.com'?" ]
	# Another number is another phone, not a slip.
	run -1 voip-ext show 11@pbx.example.com
	[ "$output" = "voip-ext: extension '11@pbx.example.com' does not exist" ]
}

@test "what only the database can refuse is said in the words of its rule" {
	run -65 voip-ext set 10@pbx.example.com queue=sales
	[ "$output" = "voip-ext: extension '10@pbx.example.com': only type 'queue' has a queue" ]
	run -65 voip-ext set 10@pbx.example.com user=
	[[ $output == *"type 'user' has a user, and no other type has one"*"hint: "* ]]
	run -65 voip-ext trunk add t host=192.0.2.1 register=true
	[ "$output" = "voip-ext: trunk 't': a trunk that registers needs a username" ]
}

@test "a role that may not, and a database without the schema, are named" {
	PGUSER=voip_report run -78 voip-ext list
	[[ $output == "voip-ext: database: permission denied"*$'\n'"hint: the role 'voip_report' may not"* ]]
	run -78 voip-ext list --set database=dbname=postgres
	[[ $output == *"hint: 'voip-schema status' tells whether database 'postgres' has the schema" ]]
	run -78 voip-ext list --set database=dbname=nowhere
	[[ $output == *'database "nowhere" does not exist'* ]]
	PGUSER=nobody_at_all run -78 voip-ext list
	[[ $output == *'role "nobody_at_all" does not exist'* ]]
}
