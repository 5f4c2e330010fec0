#!/usr/bin/env bats
# voip-dirxml: configuration files made of the database, and what the directory
# says about voicemail and trunks.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load services

captured=tests/data/freeswitch
golden=tests/data/services

setup_file() {
	services_setup
}

teardown_file() {
	services_teardown
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

@test "each configuration is answered as its golden file says" {
	local in
	for in in "$golden"/configuration-*.in; do
		echo "$in"
		diff "${in%.in}.out" <(post /fs/xml <"$in" | tail -n +2)
		parsed <"${in%.in}.out"
	done
}

@test "every captured configuration lookup is ours, or not found and counted" {
	local file before
	before=$(counter configuration 'not found')
	for file in "$captured"/lookups/configuration-*.http; do
		echo "$file"
		fsplay -b -t /fs/xml/configuration "unix:$dirxml_socket" \
			"$file" >"$BATS_TEST_TMPDIR/answer"
		parsed <"$BATS_TEST_TMPDIR/answer"
		case $file in
		*-callcenter-queue.http)
			[ "$(seen 'count(//queue)')" = 1 ]
			[ "$(seen '//queue/@name')" = support@pbx.example.com ]
			;;
		*-callcenter*) [ "$(seen 'count(//queues/queue)')" -gt 1 ] ;;
		*-acl*) [ "$(seen '//configuration/@name')" = acl.conf ] ;;
		# the lab's own menu has no tenant in its name
		*) not_found ;;
		esac
	done
	[ "$(counter configuration 'not found')" -gt "$before" ]
	[ "$(counter callcenter.conf found)" -gt 0 ]
}

@test "callcenter.conf holds the queues, agents and tiers that are active" {
	config callcenter.conf
	[ "$(seen 'count(//queue)')" = 3 ]
	[ "$(seen 'count(//queue[contains(@name, "closed")])')" = 0 ]
	[ "$(seen 'count(//agent)')" = 2 ]
	[ "$(seen 'count(//agent[@name="1004@pbx.example.com"])')" = 0 ]
	[ "$(seen 'count(//tier)')" = 3 ]
	[ "$(seen '//agent[1]/@contact')" = '[leg_timeout=30]user/1001@pbx.example.com' ]
	[ "$(seen '//agent[1]/@status')" = Available ]
	[ "$(seen '//settings/param[@name="truncate-tiers-on-load"]/@value')" = true ]
}

@test "a queue asked for by name is alone, with its agents and tiers" {
	config callcenter.conf CC-Queue=support%40pbx.example.com
	[ "$(seen 'count(//queue)')" = 1 ]
	[ "$(seen 'count(//agent)')" = 2 ]
	[ "$(seen 'count(//tier)')" = 2 ]
	[ "$(seen '//tier[@agent="1001@pbx.example.com"]/@level')" = 2 ]
	config callcenter.conf CC-Queue=unknown%40pbx.example.com
	not_found
	config callcenter.conf CC-Queue=closed%40pbx.example.com
	not_found
	config callcenter.conf CC-Queue=support%40other.example
	not_found
	config callcenter.conf CC-Queue=support
	not_found
}

@test "a queue without members has empty lists of agents and tiers" {
	config callcenter.conf CC-Queue=sales%40pbx.example.com
	[ "$(seen 'count(//agents)')" = 1 ]
	[ "$(seen 'count(//tiers)')" = 1 ]
	[ "$(seen 'count(//tier)')" = 0 ]
}

@test "a queue's hostile name is percent-encoded, asked for and found again" {
	local name='R%20%26%20D%20%22x%22%20%24%7Bsystem%28id%29%7D@pbx.example.com'
	config callcenter.conf "CC-Queue=${name/@/%40}"
	[ "$(seen '//queue/@name')" = "$name" ]
	[ "$(seen '//tier/@queue')" = "$name" ]
	run -1 grep -F '${system' "$BATS_TEST_TMPDIR/answer"
}

@test "a queue's recording is below the recordings directory, by its own flag or a number's policy" {
	local path='/var/lib/freeswitch/recordings/pbx.example.com/${strftime(%Y/%m/%d)}/${uuid}.wav'
	config callcenter.conf CC-Queue=support%40pbx.example.com
	[ "$(seen '//param[@name="record-template"]/@value')" = "$path" ]
	config callcenter.conf CC-Queue=sales%40pbx.example.com
	[ "$(seen 'count(//param[@name="record-template"])')" = 0 ]
	sql "insert into voip.extensions (domain_id, extension, type, queue_id,
		recording_policy_id) select q.domain_id, '8099', 'queue', q.id, p.id
		from voip.queues as q, voip.recording_policies as p
		where q.name = 'sales' and p.name = 'queues'"
	run -0 voip-dirxml --set recordings_dir=/rec/ < <(
		printf 'section=configuration&tag_name=configuration&key_name=name'
		printf '&key_value=callcenter.conf&CC-Queue=sales%%40pbx.example.com')
	[[ $output == *'"/rec/pbx.example.com/${strftime(%Y/%m/%d)}/${uuid}.wav"'* ]]
	sql "delete from voip.extensions where extension = '8099'"
}

@test "music that is not there, or no sound, is the default music" {
	config callcenter.conf CC-Queue=support%40pbx.example.com
	[ "$(seen '//param[@name="moh-sound"]/@value')" = silence_stream://-1 ]
	config callcenter.conf \
		CC-Queue=R%20%26%20D%20%22x%22%20%24%7Bsystem%28id%29%7D%40pbx.example.com
	[ "$(seen '//param[@name="moh-sound"]/@value')" = local_stream://moh ]
	grep -q "'/nowhere/x.wav' cannot be played" "$dirxml_dir/log"
}

@test "ivr.conf holds the menu and those that it leads to, once each" {
	config ivr.conf Menu-Name=main_menu%40pbx.example.com
	[ "$(seen 'count(//menu)')" = 2 ]
	[ "$(seen '//menu[1]/@name')" = main_menu@pbx.example.com ]
	[ "$(seen '//menu[2]/@name')" = lunch%20menu@pbx.example.com ]
	[ "$(seen '//menu[1]/@greet-long')" = ivr/welcome.wav ]
	[ "$(seen '//menu[1]/@timeout')" = 5000 ]
	[ "$(seen '//menu[1]/@digit-len')" = 2 ]
	[ "$(seen '//menu[1]/entry[@digits="1"]/@param')" = 'transfer 1002' ]
	[ "$(seen '//menu[1]/entry[@digits="2"]/@param')" = 'callcenter support@pbx.example.com' ]
	[ "$(seen '//menu[1]/entry[@digits="3"]/@param')" = 'voicemail default pbx.example.com 1001' ]
	[ "$(seen '//menu[1]/entry[@digits="4"]/@action')" = menu-sub ]
	[ "$(seen '//menu[1]/entry[@digits="4"]/@param')" = lunch%20menu@pbx.example.com ]
	[ "$(seen '//menu[2]/entry[@digits="*"]/@param')" = main_menu@pbx.example.com ]
	config ivr.conf Menu-Name=closed%40pbx.example.com
	not_found
}

@test "an entry that leads nowhere, or to no number, is left out" {
	local digit
	config ivr.conf Menu-Name=main_menu%40pbx.example.com
	for digit in 5 6 7 8 9; do
		[ "$(seen "count(//menu[1]/entry[@digits='$digit'])")" = 0 ]
	done
	grep -q "is left out: '1 \${system(id)}' is no number" "$dirxml_dir/log"
	run -1 grep -F 'system(id)' "$BATS_TEST_TMPDIR/answer"
}

@test "a sound that runs a command or leaves its directory is not played" {
	config ivr.conf Menu-Name=lunch%20menu%40pbx.example.com
	[ "$(seen 'count(//menu[1]/@greet-long)')" = 0 ]
	[ "$(seen 'count(//menu[1]/@invalid-sound)')" = 0 ]
	[ "$(seen 'count(//menu[1]/@exit-sound)')" = 0 ]
	grep -q "'shell_stream://id' cannot be played" "$dirxml_dir/log"
}

@test "conference.conf has a profile with the PINs of the one conference" {
	config conference.conf profile_name=3000_pbx.example.com
	[ "$(seen 'count(//profile)')" = 1 ]
	[ "$(seen '//profile/@name')" = 3000_pbx.example.com ]
	[ "$(seen '//param[@name="pin"]/@value')" = 4711 ]
	[ "$(seen '//param[@name="moderator-pin"]/@value')" = 4712 ]
	[ "$(seen '//param[@name="max-members"]/@value')" = 10 ]
	[[ "$(seen '//param[@name="auto-record"]/@value')" == */'${uuid}.wav' ]]
	config conference.conf profile_name=%2B3001_pbx.example.com
	[ "$(seen '//profile/@name')" = %2B3001_pbx.example.com ]
	[ "$(seen 'count(//param[@name="pin"])')" = 0 ]
	config conference.conf profile_name=default
	not_found
	config conference.conf Action=request-controls
	not_found
}

@test "a conference whose PIN cannot be opened is not given without it" {
	mv "$VOIP_SECRET_KEY_FILE" "$VOIP_SECRET_KEY_FILE.away"
	run -78 voip-dirxml < <(printf 'section=configuration&key_name=name'
		printf '&key_value=conference.conf'
		printf '&profile_name=3000_pbx.example.com')
	mv "$VOIP_SECRET_KEY_FILE.away" "$VOIP_SECRET_KEY_FILE"
	[[ $output == *"the PIN of conference '3000@pbx.example.com' cannot be opened"* ]]
}

@test "acl.conf has the tenants with networks, and the addresses by tag" {
	config acl.conf
	[ "$(seen 'count(//list)')" = 3 ]
	[ "$(seen 'count(//list[@name="domains"]/node)')" = 1 ]
	[ "$(seen '//list[@name="pbx.example.com"]/node/@domain')" = pbx.example.com ]
	[ "$(seen '//list[@name="office"]/node[1]/@cidr')" = 192.0.2.0/24 ]
	[ "$(seen '//list[@name="office"]/node[2]/@cidr')" = 2001:db8::/32 ]
	[ "$(seen 'count(//list[@default!="deny"])')" = 0 ]
}

@test "a voicemail lookup has the PIN, a login has not" {
	ask_user 1001 action=voicemail-lookup
	[ "$(seen '//param[@name="vm-password"]/@value')" = 1234 ]
	[ "$(seen '//param[@name="vm-mailto"]/@value')" = alice@example.com ]
	[ "$(seen '//param[@name="vm-keep-local-after-email"]/@value')" = true ]
	ask_user 1001 purpose=publish-vm
	[ "$(seen '//param[@name="vm-password"]/@value')" = 1234 ]
	ask_user 1001 action=sip_auth
	[ "$(seen 'count(//param[@name="vm-password"])')" = 0 ]
	[ "$(seen '//param[@name="vm-enabled"]/@value')" = true ]
	ask_user 1002 action=voicemail-lookup
	[ "$(seen 'count(//param[starts-with(@name, "vm-")])')" = 0 ]
}

@test "a box without a user is found by voicemail only, and lets nobody log in" {
	ask_user 7000 action=voicemail-lookup
	[ "$(seen '//user/@id')" = 7000 ]
	[ "$(seen '//param[@name="vm-password"]/@value')" = '<5&6>${x}' ]
	[ "$(seen '//param[@name="vm-keep-local-after-email"]/@value')" = false ]
	[ "$(seen '//param[@name="allow-empty-password"]/@value')" = false ]
	ask_user 7000 action=sip_auth
	not_found
}

@test "an address that a shell would take apart gets no mail" {
	ask_user 1003 action=voicemail-lookup
	[ "$(seen '//param[@name="vm-enabled"]/@value')" = true ]
	[ "$(seen 'count(//param[@name="vm-mailto"])')" = 0 ]
}

gateways() {
	post /fs/xml < <(printf 'section=directory&tag_name=&key_name='
		printf '&key_value=%s&purpose=gateways&profile=%s' "$1" "$2") |
		tail -n +2 >"$BATS_TEST_TMPDIR/answer"
	parsed <"$BATS_TEST_TMPDIR/answer"
}

@test "the trunks are gateways of one profile, each once, where mod_sofia looks" {
	local path='//domain/groups/group/users/user/gateways/gateway'
	gateways '' internal
	[ "$(seen "count($path)")" = 4 ]
	[ "$(seen "count(//gateway[@name='shared1'])")" = 1 ]
	[ "$(seen "count(//domain[@name='pbx.example.com']//gateway)")" = 2 ]
	[ "$(seen "//gateway[@name='carrier1']/param[@name='password']/@value")" = 'p&$${hostname}' ]
	[ "$(seen "//gateway[@name='carrier1']/param[@name='username']/@value")" = 'u "1"' ]
	[ "$(seen "//gateway[@name='carrier1']/param[@name='proxy']/@value")" = sip.carrier.example:5060 ]
	[ "$(seen "//gateway[@name='carrier1']/param[@name='register']/@value")" = true ]
	[ "$(seen "//gateway[@name='carrier2']/param[@name='proxy']/@value")" = 192.0.2.9:5070 ]
	[ "$(seen "//gateway[@name='shared1']/param[@name='proxy']/@value")" = '[2001:db8::9]:5060' ]
	gateways '' external
	[ "$(seen 'count(//gateway)')" = 0 ]
	[ "$(seen 'count(//domain)')" -gt 1 ]
	gateways other.example internal
	[ "$(seen 'count(//domain)')" = 1 ]
	[ "$(seen "count(//gateway[@name='foreign'])")" = 1 ]
	[ "$(seen "count(//gateway[@name='carrier1'])")" = 0 ]
}
