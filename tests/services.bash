# services.bash: voip-dirxml in front of tenants with queues, menus, boxes,
# conferences and trunks: those of data/dirxml/seed.sql, data/services/seed.sql
# and what is sealed.  services_setup, services_teardown; the rest is
# dirxml.bash's.
#
# shellcheck shell=bash disable=SC2154,SC2016,SC2119,SC2120

load dirxml

services_setup() {
	local at=@pbx.example.com

	dirxml_setup
	VOIP_SECRET_KEY_FILE=$dirxml_dir/secret.key
	export VOIP_SECRET_KEY_FILE
	(
		umask 077
		printf '%064d\n' 1 >"$VOIP_SECRET_KEY_FILE"
	)
	psql -Xq -v ON_ERROR_STOP=1 -f tests/data/services/seed.sql
	(
		export VOIP_DATABASE=dbname=$PGDATABASE
		voip-ext voicemail add "1001$at" pin=1234 email=alice@example.com
		voip-ext voicemail add "7000$at" pin='<5&6>${x}' keep=false \
			email='a+b@example.com'
		voip-ext voicemail add "1003$at" email='x;id@example.com'
		voip-ext conference add "3000$at" pin=4711 moderator_pin=4712 \
			max_members=10 record=true
		voip-ext conference add "+3001$at"
		voip-ext trunk add carrier1 domain=pbx.example.com \
			host=sip.carrier.example username='u "1"' \
			password='p&$${hostname}' prefix=00420 register=true
		voip-ext trunk add carrier2 domain=pbx.example.com \
			host=192.0.2.9 port=5070 max_calls=2 \
			caller_id_number=+420555000111
		voip-ext trunk add shared1 host=2001:db8::9
		voip-ext trunk add foreign domain=other.example \
			host=203.0.113.1
		voip-ext extension add "7000$at" type=voicemail voicemail=7000
		voip-ext extension add "3000$at" type=conference conference=3000
		voip-ext extension add "0N.$at" type=trunk_out trunk=carrier1 \
			service_ref='{"strip":1,"failover":["carrier2","shared1","foreign","carrier1"]}'
		voip-ext extension add "00.$at" type=trunk_out trunk=carrier2
		voip-ext extension add "09.$at" type=trunk_out trunk=carrier1 \
			service_ref='{"strip":"40"}'
		voip-ext emergency add 112 trunk=carrier2
	) >/dev/null
	dirxml_start
}

services_teardown() {
	dirxml_stop
	dirxml_teardown
}

# config FILE [FIELD=VALUE]: the answer to a lookup of that file, parsed.
config() {
	post /fs/xml/configuration < <(
		printf 'hostname=fs1&section=configuration&tag_name=configuration'
		printf '&key_name=name&key_value=%s' "$1"
		printf '%s' "${2:+&$2}"
	) | tail -n +2 >"$BATS_TEST_TMPDIR/answer"
	parsed <"$BATS_TEST_TMPDIR/answer" || { cat "$BATS_TEST_TMPDIR/answer" "$dirxml_dir/log"; false; }
}

# ask_user USER [FIELD=VALUE...]: the directory's answer, parsed.
ask_user() {
	local user=$1 field

	shift
	post /fs/xml/directory < <(
		printf 'hostname=fs1&section=directory&tag_name=domain'
		printf '&key_name=name&key_value=pbx.example.com&key=id'
		for field; do printf '&%s' "$field"; done
		printf '&user=%s&domain=pbx.example.com' "$user"
	) | tail -n +2 >"$BATS_TEST_TMPDIR/answer"
	parsed <"$BATS_TEST_TMPDIR/answer" || { cat "$BATS_TEST_TMPDIR/answer" "$dirxml_dir/log"; false; }
}

not_found() {
	sed '2s/ generation="[0-9]*">$/>/' "$BATS_TEST_TMPDIR/answer" |
		cmp - tests/data/freeswitch/responses/notfound.xml
}

# dial NUMBER [FIELD=VALUE...]: the dialplan for a call that the proxy sends,
# from user 1001 unless a field says something else; the last one counts.
dial() {
	local number=$1 field

	shift
	post /fs/xml/dialplan < <(
		printf 'hostname=fs1&section=dialplan&tag_name=&key_name=&key_value='
		printf '&Hunt-Context=from-kamailio&Hunt-Network-Addr=127.0.0.1'
		printf '&variable_sip_h_X-VOIP-DOMAIN=pbx.example.com'
		printf '&variable_sip_h_X-VOIP-CALLER=1001'
		printf '&variable_sip_req_user=%s' "$number"
		printf '&Hunt-Destination-Number=%s' "$number"
		for field; do printf '&%s' "$field"; done
	) | tail -n +2 >"$BATS_TEST_TMPDIR/answer"
	parsed <"$BATS_TEST_TMPDIR/answer" || {
		cat "$BATS_TEST_TMPDIR/answer" "$dirxml_dir/log"
		false
	}
}

# The actions of the last answer, one a line: APPLICATION DATA.
actions() {
	sed -n 's/^ *<action application="\([^"]*\)" data="\([^"]*\)"\/>$/\1 \2/p' \
		"$BATS_TEST_TMPDIR/answer" |
		sed 's/&quot;/"/g; s/&lt;/</g; s/&gt;/>/g; s/&#36;/$/g
			s/&#45;/-/g; s/&amp;/\&/g'
}
