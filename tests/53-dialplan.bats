#!/usr/bin/env bats
# voip-dirxml: the dialplan, number by number.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load services

captured=tests/data/freeswitch

setup_file() {
	services_setup
}

teardown_file() {
	services_teardown
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

@test "each number is answered as its golden file says" {
	local in
	for in in tests/data/services/dialplan-*.in; do
		echo "$in"
		diff "${in%.in}.out" <(post /fs/xml <"$in" | tail -n +2)
		parsed <"${in%.in}.out"
	done
}

# The last answer is for this context and holds these applications.
goes() {
	local context=$1

	shift
	[ "$(seen '//context/@name')" = "$context" ]
	diff <(printf '%s\n' "$@") <(actions |
		grep -vE '^(set|export|answer|sleep|record_session)( |$)')
}

@test "every captured dialplan lookup is answered by its number, tenant and user" {
	local file
	for file in "$captured"/lookups*/dialplan-*.http; do
		[[ $file == *answered401* ]] && continue
		echo "$file"
		fsplay -b -t /fs/xml/dialplan "unix:$dirxml_socket" \
			"$file" >"$BATS_TEST_TMPDIR/answer"
		parsed <"$BATS_TEST_TMPDIR/answer"
		case $file in
		# enable-post-var without the names that tell whose call it is
		*/lookups-postvar/*) not_found ;;
		*/dialplan-1002*) goes default 'bridge user/1002@pbx.example.com' ;;
		*/dialplan-5000*) goes default 'ivr main_menu@pbx.example.com' ;;
		*/dialplan-8001*) goes default 'callcenter support@pbx.example.com' ;;
		*) not_found ;;
		esac
	done
}

@test "a user is rung, then the voicemail box of the number answers" {
	dial 1002
	goes from-kamailio 'bridge user/1002@pbx.example.com'
	actions | grep -x 'set continue_on_fail=false'
	actions | grep -x 'set call_timeout=30'
	dial 1003
	goes from-kamailio \
		'limit hash voip user_1003@pbx.example.com 2 !USER_BUSY' \
		'bridge user/1003@pbx.example.com' \
		'voicemail default pbx.example.com 1003'
	actions | grep -x 'set continue_on_fail=true'
	dial 2002
	goes from-kamailio 'bridge user/carol@pbx.example.com'
	dial 2003
	not_found
	dial 1004
	not_found
}

@test "queue, menu, conference and box are reached by their number" {
	dial 8001
	goes from-kamailio 'callcenter support@pbx.example.com'
	dial 5000
	goes from-kamailio 'ivr main_menu@pbx.example.com'
	dial 3000
	goes from-kamailio \
		'conference 3000_pbx.example.com@3000_pbx.example.com'
	dial 7000
	goes from-kamailio 'voicemail default pbx.example.com 7000'
	dial 8005
	not_found
	dial 4444
	not_found
}

@test "an extension without a reference is what its service_ref names" {
	dial 8004
	goes from-kamailio 'callcenter support@pbx.example.com'
	dial 5001
	goes from-kamailio 'ivr lunch%20menu@pbx.example.com'
	dial '*98'
	goes from-kamailio 'voicemail check default pbx.example.com 1001'
}

@test "*97 is the caller's own box, and nobody's without one" {
	dial '*97'
	goes from-kamailio 'voicemail check default pbx.example.com 1001'
	[ "$(seen '//condition/@expression')" = '^[*]97$' ]
	actions | run -1 grep voicemail_authorized
	dial '*97' variable_sip_h_X-VOIP-CALLER=1003
	goes from-kamailio \
		'limit hash voip user_1003@pbx.example.com 2 !NORMAL_CIRCUIT_CONGESTION' \
		'voicemail check default pbx.example.com 1003'
	actions | grep -x 'set voicemail_authorized=true'
	dial '*97' variable_sip_h_X-VOIP-CALLER=1002
	not_found
	dial '*97' variable_sip_h_X-VOIP-CALLER=
	not_found
}

@test "a trunk gets the number as its carrier wants it, then the next trunk does" {
	dial 0222333444
	goes from-kamailio \
		'bridge sofia/gateway/carrier1/00420222333444' \
		'limit_execute hash voip trunk_carrier2 2 bridge sofia/gateway/carrier2/222333444' \
		'bridge sofia/gateway/shared1/222333444' \
		'hangup NORMAL_CIRCUIT_CONGESTION'
	actions | grep -x 'export call_direction=outbound'
	actions | grep -q '^set continue_on_fail=GATEWAY_DOWN,'
	run -1 grep foreign "$BATS_TEST_TMPDIR/answer"
	dial 0912
	not_found
}

@test "outside, a caller is the user's own number, else the tenant's, else the trunk's" {
	dial 0222333444
	actions | grep -x 'set effective_caller_id_number=+420123456789'
	dial 0222333444 variable_sip_h_X-VOIP-CALLER=1003
	actions | grep -x 'set effective_caller_id_number=+420987654321'
	actions | grep -x 'set effective_caller_id_name=Desk three'
	sql "update voip.domains set caller_id_number = null
		where domain = 'pbx.example.com'"
	wait_for dials 00420222333444 \
		'set effective_caller_id_number=+420555000111'
	sql "update voip.domains set caller_id_number = '+420123456789'
		where domain = 'pbx.example.com'"
}

dials() {
	dial "$1"
	actions | grep -xF "$2"
}

@test "emergency numbers go out by any trunk, unchanged and without limits" {
	dial 112 variable_sip_h_X-VOIP-CALLER=1003
	goes from-kamailio 'bridge sofia/gateway/carrier2/112' \
		'bridge sofia/gateway/carrier1/112' \
		'bridge sofia/gateway/shared1/112' \
		'hangup NORMAL_CIRCUIT_CONGESTION'
	dial 112 variable_sip_h_X-VOIP-DOMAIN=nobody.example
	goes from-kamailio 'bridge sofia/gateway/shared1/112' \
		'hangup NORMAL_CIRCUIT_CONGESTION'
}

@test "a trunk is closed to callers from outside, unless somebody inside sent them" {
	dial 0222333444 variable_sip_h_X-VOIP-CALLER=
	not_found
	dial 0222333444 variable_sip_h_X-VOIP-CALLER=1001%40other.example
	not_found
	dial 0222333444 variable_sip_h_X-VOIP-CALLER=nobody
	not_found
	dial 0222333444 variable_sip_h_X-VOIP-CALLER= variable_sip_req_user=5000 \
		Hunt-Transfer-Source=1795227611%3Ad1%3Abl_xfer%3A0222333444
	actions | grep -x 'bridge sofia/gateway/carrier1/00420222333444'
	dial 0222333444 variable_sip_h_X-VOIP-CALLER=1001%40PBX.example.com
	actions | grep -x 'bridge sofia/gateway/carrier1/00420222333444'
}

@test "a caller from outside gets no trunk by another number, nor by REFER" {
	local no=variable_sip_h_X-VOIP-CALLER= other=variable_sip_req_user=5000
	local transfer=Hunt-Transfer-Source=1795227611%3Ad1%3Abl_xfer%3A0222333444
	# INVITE sip:5000@...;gw=carrier1
	dial 0222333444 $no $other
	not_found
	# the user whom they called is sent on by them
	dial 0222333444 $no $other $transfer variable_direction=outbound \
		variable_call_direction=inbound
	not_found
	# they are sent on by the user
	dial 0222333444 $no $other $transfer variable_direction=inbound \
		variable_call_direction=inbound
	actions | grep -x 'bridge sofia/gateway/carrier1/00420222333444'
	# one inside sends another on
	dial 0222333444 $no $other $transfer variable_direction=outbound \
		variable_call_direction=internal
	actions | grep -x 'bridge sofia/gateway/carrier1/00420222333444'
}

@test "the X-VOIP headers are believed from the proxies only" {
	local refused
	refused=$(counter dialplan refused)
	dial 1002 Hunt-Network-Addr=192.0.2.1
	not_found
	dial 1002 Hunt-Network-Addr=
	not_found
	[ "$(counter dialplan refused)" -eq $((refused + 2)) ]
	# in a context of users they are not looked at
	dial 1002 Hunt-Context=default
	not_found
	dial 1002 Hunt-Context=default variable_domain_name=pbx.example.com \
		variable_sip_h_X-VOIP-DOMAIN=other.example
	goes default 'bridge user/1002@pbx.example.com'
	dial '*97' Hunt-Context=default variable_domain_name=pbx.example.com \
		variable_sip_h_X-VOIP-CALLER=1003 variable_user_name=1001
	goes default 'voicemail check default pbx.example.com 1001'
	run -0 voip-dirxml --set 'trusted_proxies=192.0.2.0/28, 2001:db8::/64' < <(
		printf 'section=dialplan&Hunt-Context=from-kamailio'
		printf '&Hunt-Destination-Number=1002'
		printf '&Hunt-Network-Addr=2001:db8::7'
		printf '&variable_sip_h_X-VOIP-DOMAIN=pbx.example.com')
	[[ $output == *'"user/1002@pbx.example.com"'* ]]
}

@test "the tenant is the header's, then of the user, the callee, the sender" {
	local no=variable_sip_h_X-VOIP-DOMAIN=
	dial 1002 variable_domain_name=other.example \
		variable_dialed_domain=other.example variable_sip_from_host=other.example
	goes from-kamailio 'bridge user/1002@pbx.example.com'
	dial 1002 $no variable_domain_name=pbx.example.com \
		variable_dialed_domain=other.example
	goes from-kamailio 'bridge user/1002@pbx.example.com'
	dial 1002 $no variable_dialed_domain=pbx.example.com \
		variable_sip_from_host=other.example
	goes from-kamailio 'bridge user/1002@pbx.example.com'
	dial 1002 $no variable_sip_from_host=pbx.example.com
	goes from-kamailio 'bridge user/1002@pbx.example.com'
	dial 1002 $no
	not_found
	# what anybody may write into From is no tenant elsewhere
	dial 1002 Hunt-Context=default variable_sip_from_host=pbx.example.com
	not_found
}

@test "a context is ours when it is the proxy's, the setting's or a user's" {
	dial 1001 Hunt-Context=tenant-a variable_domain_name=pbx.example.com
	goes tenant-a 'bridge user/1001@pbx.example.com' \
		'voicemail default pbx.example.com 1001'
	dial 1001 Hunt-Context=public variable_domain_name=pbx.example.com
	not_found
	dial 1001 Hunt-Context=tenant-a variable_domain_name=other.example
	not_found
}

@test "what the proxy says that answers counts for the number that it routed" {
	local service=variable_sip_h_X-VOIP-SERVICE
	dial 1002 "$service=voicemail%3Bbox%3D7000"
	goes from-kamailio 'voicemail default pbx.example.com 7000'
	dial 1002 "$service=voicemail%3Bbox%3D7000" variable_sip_req_user=5000
	goes from-kamailio 'bridge user/1002@pbx.example.com'
	dial 4711 "$service=queue%3Bname%3Dsupport"
	goes from-kamailio 'callcenter support@pbx.example.com'
	dial 8002 "$service=queue%3Bname%3Dsupport"
	goes from-kamailio 'callcenter sales@pbx.example.com'
	dial 4711 "$service=queue%3Bname%3Dunknown"
	not_found
	dial 4711 "$service=trunk_out%3Bname%3Dcarrier1"
	not_found
	dial 112 "$service=voicemail%3Bbox%3D7000"
	actions | grep -x 'bridge sofia/gateway/carrier2/112'
	dial 1002 "$service=voicemail%3Bbox%3D1001%20x"
	not_found
}

recorded() {
	actions | grep -q '^record_session '
}

@test "the policy of the number or of the caller says what is recorded" {
	local path='/var/lib/freeswitch/recordings/pbx.example.com/${strftime(%Y/%m/%d)}/${uuid}.wav'
	dial 1002
	actions | grep -xF "export voip_recording=$path"
	actions | grep -xF 'record_session ${voip_recording}'
	actions | grep -x 'set RECORD_STEREO=true'
	dial 1003
	run -1 recorded
	dial 1003 variable_sip_h_X-VOIP-CALLER=
	recorded
	actions | grep -x 'export call_direction=inbound'
	dial 0222333444
	run -1 recorded
	dial 0222333444 variable_sip_h_X-VOIP-CALLER=1002
	recorded
	# a queue that records by itself is not recorded twice
	dial 8001 variable_sip_h_X-VOIP-CALLER=
	run -1 recorded
	dial 8002 variable_sip_h_X-VOIP-CALLER=
	recorded
	dial 7000 variable_sip_h_X-VOIP-CALLER=1002
	run -1 recorded
}

@test "calls are limited for tenant, caller and callee" {
	sql "update voip.domains set max_calls = 50
		where domain = 'pbx.example.com'"
	wait_for dials 1002 'limit hash voip domain_pbx.example.com 50 !NORMAL_CIRCUIT_CONGESTION'
	dial 1002 variable_sip_h_X-VOIP-CALLER=1003
	actions | grep -xF 'limit hash voip user_1003@pbx.example.com 2 !NORMAL_CIRCUIT_CONGESTION'
	sql "update voip.domains set max_calls = null
		where domain = 'pbx.example.com'"
}

# Nothing but our applications, no variables but our own, and no sign that an
# application would take for its own but in `set NAME=`.
harmless() {
	local application data

	while read -r application data; do
		data=${data//'${strftime(%Y/%m/%d)}'/}
		data=${data//'${uuid}'/}
		data=${data//'${voip_recording}'/}
		case $application in
		set | export) [[ $data =~ ^[A-Za-z_]+= && $data != *'${'* ]] ;;
		answer | sleep | record_session | limit | limit_execute | bridge | \
			voicemail | callcenter | ivr | conference | hangup)
			[[ $data =~ ^[A-Za-z0-9_.+*#@/%!:\ -]*$ ]]
			;;
		*) false ;;
		esac || {
			echo "$application $data"
			return 1
		}
	done < <(actions)
}

hostile=('1002 XML default' '1002|exec' '1,2' '${system(id)}' '$${x}' '^^:a:b'
	"1'2" '1"2' '{a=b}1002' '[x]1002' '<a/>' '1002&x' '-bleg' '%' '1/2'
	'X-PRE-PROCESS' $'1002\n<include>' 'user/1002@x' 'é' '../1')

encoded() {
	printf '%s' "$1" | od -An -tx1 -v | tr -d ' \n' | sed 's/../%&/g'
}

@test "a hostile number is no number" {
	local text
	for text in "${hostile[@]}"; do
		echo "$text"
		dial 1002 "Hunt-Destination-Number=$(encoded "$text")"
		not_found
	done
}

@test "bytes that are no text are not found, and no question to the database" {
	local field
	for field in Hunt-Destination-Number Hunt-Context \
		variable_sip_h_X-VOIP-DOMAIN variable_sip_h_X-VOIP-CALLER \
		variable_sip_h_X-VOIP-SERVICE=voicemail%3Bbox; do
		echo "$field"
		dial 0999888777 "$field=%FF%fe"
		not_found
	done
	dial 1002 "variable_sip_h_X-VOIP-SERVICE=voicemail%3Bbox%3D%FF"
	not_found
	[ "$(counter dialplan unavailable)" -eq 0 ]
}

@test "a hostile context, tenant, caller or service gets nothing into an answer" {
	local text value
	for text in "${hostile[@]:0:12}"; do
		echo "$text"
		value=$(encoded "$text")
		dial 1002 "Hunt-Context=$value"
		not_found
		dial 1002 "variable_sip_h_X-VOIP-DOMAIN=$value"
		not_found
		dial 1002 "variable_sip_h_X-VOIP-SERVICE=voicemail%3Bbox%3D$value"
		not_found
		dial 1002 "variable_domain_name=$value" \
			"variable_sip_h_X-VOIP-CALLER=$value" \
			"variable_sip_h_X-VOIP-SERVICE=$value" \
			"variable_sip_req_user=$value" \
			"Hunt-Caller-ID-Name=$value" \
			"Hunt-Caller-ID-Number=$value"
		goes from-kamailio 'bridge user/1002@pbx.example.com'
		harmless
	done
}

@test "names that people wrote stay data in whatever the dialplan says" {
	local text
	for text in '${system(id)} $${x} ^^:a:b '\''q'\'' "q" {x=y} [z] a,b|c' \
		'<X-PRE-PROCESS cmd="exec" data="id"/> <!--#exec x--> \${x} &b; $1'; do
		psql -Xq -v ON_ERROR_STOP=1 -v "text=$text" <<-'EOF2'
			update voip.users set full_name = :'text', accountcode = :'text',
				caller_id_name = :'text' where username = '1001';
			update voip.trunks set caller_id_name = :'text';
			update voip.domains set caller_id_name = :'text'
				where domain = 'pbx.example.com';
			update voip.queues set name = :'text' where name <> 'sales'
				and name <> 'closed' and id = (select queue_id
				from voip.extensions where extension = '8001');
		EOF2
		echo "$text"
		for number in 1002 8001 0222333444; do
			wait_for dials $number "set accountcode=${text//'${'/%\{}"
			harmless
			[ "$(grep -c '<extension ' "$BATS_TEST_TMPDIR/answer")" = 1 ]
		done
	done
}

# static SECTION [OPTION...]: the file of the tenant, parsed.
static() {
	run -0 --separate-stderr voip-dirxml "$1" --domain pbx.example.com \
		"${@:2}"
	printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/answer"
	fs-preprocess --part <"$BATS_TEST_TMPDIR/answer" \
		>"$BATS_TEST_TMPDIR/seen"
	xmllint --noout "$BATS_TEST_TMPDIR/seen"
	[ "${lines[0]}" = '<include>' ]
	[ "${lines[-1]}" = '</include>' ]
}

@test "the static dialplan has every number, for the tenant's callers only" {
	static dialplan
	[ "$(seen 'count(/all/extension)')" -ge 12 ]
	[ "$(seen 'count(//extension[condition[1][@field="${domain_name}"][@expression="^pbx[.]example[.]com$"]])')" = \
		"$(seen 'count(//extension)')" ]
	[ "$(seen 'count(//extension[condition[2][@field="${user_name}"]])')" = \
		"$(seen 'count(//extension)')" ]
	[ "$(seen '//extension[condition[3]/@expression="^1002$"]//action[@application="bridge"]/@data')" = user/1002@pbx.example.com ]
	[ "$(seen '(//extension)[1]/condition[3]/@expression')" = '^112$' ]
	[ "$(seen '//extension[condition[3]/@expression="^0[2-9][0-9]+$"]//action[@application="bridge"][1]/@data')" = \
		'sofia/gateway/carrier1/00420${destination_number:1}' ]
	[ "$(seen '//extension[condition[3]/@expression="^[*]97$"]//action[@application="voicemail"]/@data')" = \
		'check default pbx.example.com ${user_name}' ]
	run -1 grep -F 'system(' "$BATS_TEST_TMPDIR/answer"
}

@test "the proxy's static dialplan keeps callers from outside off the trunks" {
	local count
	static dialplan --context from-kamailio
	[ "$(seen 'count(//extension[condition[1]/@field="${sip_h_X-VOIP-DOMAIN}"])')" = \
		"$(seen 'count(//extension)')" ]
	[ "$(seen 'count(//extension[@name="trunk_out"][condition[2]/@expression="^$"])')" = 0 ]
	[ "$(seen 'count(//extension[@name="trunk_out"])')" -ge 3 ]
	# by policy: from outside 1003 is recorded, from inside it is not
	count='//extension[condition[3]/@expression="^1003$"]'
	[ "$(seen "count(${count}[condition[2]/@expression=\"^$\"]//action[@application=\"record_session\"])")" = 1 ]
	[ "$(seen "count(${count}[condition[2]/@expression=\"^.+$\"]//action[@application=\"record_session\"])")" = 0 ]
}

@test "the static directory has the users, their boxes and the groups that point to them" {
	static directory
	[ "$(seen 'count(/all/domain)')" = 1 ]
	[ "$(seen 'count(//group[@name="all users"]/users/user)')" = 5 ]
	[ "$(seen 'count(//user[@type!="pointer"])')" = 0 ]
	[ "$(seen '//user[@id="carol"]/@number-alias')" = 2001 ]
	[ "$(seen '//user[@id="1001"]//param[@name="vm-password"]/@value')" = 1234 ]
	[ "$(seen '//user[@id="7000"]//param[@name="allow-empty-password"]/@value')" = false ]
	[ "$(seen 'count(//group[@name="sales"]/users/user[@type="pointer"])')" = 2 ]
	[[ "$(seen '//user[@id="1001"]//param[@name="a1-hash"]/@value')" =~ ^[0-9a-f]{32}$ ]]
}

@test "the static configuration has the tenant's queues, menus and conferences" {
	static configuration
	[ "$(seen 'count(/all/configuration)')" = 3 ]
	[ "$(seen 'count(//queue)')" = 3 ]
	[ "$(seen 'count(//menu)')" = 2 ]
	[ "$(seen 'count(//profile)')" = 2 ]
	[ "$(seen '//profile[@name="3000_pbx.example.com"]/param[@name="pin"]/@value')" = 4711 ]
}

@test "a static file says what is wrong with its arguments" {
	run -1 voip-dirxml directory --domain nobody.example
	run -64 voip-dirxml directory
	[[ $output == *"'directory' needs --domain"* ]]
	run -64 voip-dirxml languages --domain pbx.example.com
	[[ $output == *"unknown section 'languages'"* ]]
	run -64 voip-dirxml directory dialplan --domain pbx.example.com
	[[ $output == *"unexpected argument 'dialplan'"* ]]
}

# The name of user 1002 in the tenant's file of users is this one.
is_named() {
	grep -q "\"effective_caller_id_name\" value=\"$1\"" \
		"$files/directory/pbx.example.com.xml"
}

@test "voip-watch has the static files written again, and FreeSWITCH told" {
	local files=$BATS_TEST_TMPDIR/files told=$BATS_TEST_TMPDIR/told
	local writer watch before

	mkfifo "$BATS_TEST_TMPDIR/changes"
	etc/freeswitch/static-files pbx.example.com "$files" \
		sh -c "echo told >>'$told'" <"$BATS_TEST_TMPDIR/changes" 3>&- &
	writer=$!
	VOIP_DATABASE="dbname=$PGDATABASE user=voip_watch" voip-watch \
		>"$BATS_TEST_TMPDIR/changes" 3>&- &
	watch=$!
	wait_for [ -s "$told" ]
	for name in directory dialplan from-kamailio configuration; do
		voip-dirxml "${name/from-kamailio/dialplan}" \
			--domain pbx.example.com \
			"--context=$([ $name != from-kamailio ] || echo $name)" |
			diff - "$files/$name/pbx.example.com.xml"
	done
	[ "$(stat -c %a "$files/directory/pbx.example.com.xml")" = 640 ]
	before=$(stat -c %i "$files/configuration/pbx.example.com.xml")
	sql "update voip.users set full_name = 'Bob the second'
		where username = '1002'"
	wait_for is_named 'Bob the second'
	# what did not change is the same file
	[ "$(stat -c %i "$files/configuration/pbx.example.com.xml")" = "$before" ]
	kill "$watch"
	wait "$watch" "$writer"
	[ "$(wc -l <"$told")" = 2 ]
	[ "$(find "$files" -name '*.new')" = "" ]
}

@test "a static file stays as it is while the database is away" {
	local files=$BATS_TEST_TMPDIR/files

	mkdir -p "$files/directory"
	echo old >"$files/directory/pbx.example.com.xml"
	VOIP_DATABASE="host=$BATS_TEST_TMPDIR dbname=x" run -0 \
		etc/freeswitch/static-files pbx.example.com "$files" false <<<x
	[[ $output == *"$files/directory/pbx.example.com.xml stays as it is"* ]]
	[ "$(cat "$files/directory/pbx.example.com.xml")" = old ]
	run -64 etc/freeswitch/static-files pbx.example.com
}
