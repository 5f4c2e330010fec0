#!/usr/bin/env bats
# voip-dirxml: every lookup of the directory, over HTTP and as a filter.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load dirxml

captured=tests/data/freeswitch
golden=tests/data/dirxml

setup_file() {
	dirxml_setup
	dirxml_start
}

teardown_file() {
	dirxml_stop
	dirxml_teardown
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

@test "each lookup is answered as its golden file says, by POST, by GET and as a filter" {
	local in out
	for in in "$golden"/*.in; do
		out=${in%.in}.out
		echo "$in"
		diff "$out" <(post /fs/xml <"$in" | tail -n +2)
		diff "$out" <(get /fs/xml "$(tr '&' '\n' <"$in" |
			sed 's/ /%20/g' | paste -sd '&')" | tail -n +2)
		voip-dirxml <"$in" >"$BATS_TEST_TMPDIR/filtered" || [ $? -eq 1 ]
		diff "$out" "$BATS_TEST_TMPDIR/filtered"
	done
}

@test "each golden answer is well-formed and passes the pre-processor untouched" {
	local out
	for out in "$golden"/*.out; do
		echo "$out"
		parsed <"$out"
	done
}

@test "not found is the document that FreeSWITCH knows, byte for byte" {
	post /fs/xml <"$golden/unknown-action.in" >"$BATS_TEST_TMPDIR/answer"
	[ "$(head -n 1 "$BATS_TEST_TMPDIR/answer")" = 200 ]
	cmp "$BATS_TEST_TMPDIR/body" "$captured/responses/notfound.xml"
}

@test "every captured directory lookup gets its user, or the not-found document" {
	local file user want
	for file in "$captured"/lookups*/directory-*.http; do
		[[ $file == *answered401* ]] && continue
		echo "$file"
		fsplay -b -t /fs/xml/directory "unix:$dirxml_socket" "$file" \
			>"$BATS_TEST_TMPDIR/answer"
		parsed <"$BATS_TEST_TMPDIR/answer"
		user=$(tr '&?[:space:]' '\n' <"$file" | sed -n 's/^user=//p' | tail -n 1)
		case $file in
		*realm_injection* | *unknown_user* | *other_domain*) want=none ;;
		*gateways* | *network-list* | *locate-domain*) want=none ;;
		*) case $user in
			1001 | 1002 | 1003) want=$user ;;
			*) want=none ;;
			esac ;;
		esac
		if [ "$want" = none ]; then
			[ "$(seen 'count(//user[params])')" = 0 ]
		else
			[ "$(seen 'count(//user)')" = 1 ]
			[ "$(seen '//user/@id')" = "$want" ]
			[ "$(seen '//domain/@name')" = pbx.example.com ]
			[ "$(seen '//user/@type')" = "" ]
			# the search of mod_sofia and mod_voicemail
			fs-preprocess pbx.example.com "$want" \
				<"$BATS_TEST_TMPDIR/answer" \
				>"$BATS_TEST_TMPDIR/user"
			grep -x "user $want" "$BATS_TEST_TMPDIR/user"
			[ "$(grep -c '^param dial-string ' "$BATS_TEST_TMPDIR/user")" = 1 ]
		fi
	done
}

@test "the realm that a phone wrote cannot ask for another user" {
	run -0 fsplay -b -t /fs/xml/directory "unix:$dirxml_socket" \
		"$captured/lookups/directory-sip-auth-register--register_realm_injection.http"
	[ "$(sed '2s/ generation="[0-9]*">$/>/' <<<"$output")" = \
		"$(cat "$captured/responses/notfound.xml")" ]
	[ "$(counter sip_auth refused)" -gt 0 ]
}

@test "the form's section decides, whatever the path says" {
	run -0 post /fs/xml/dialplan <"$golden/sip_auth.in"
	[ "${lines[0]}" = 200 ]
	cmp "$BATS_TEST_TMPDIR/body" "$golden/sip_auth.out"
}

@test "the path's section counts when the form has none" {
	run -0 post /fs/xml/directory < <(printf 'user=1001&domain=pbx.example.com')
	[ "${lines[0]}" = 200 ]
	parsed <"$BATS_TEST_TMPDIR/body"
	[ "$(seen '//user/@id')" = 1001 ]
}

@test "what is no lookup is refused with 400, an unknown path with 404" {
	run -0 post /fs/xml <<<'hello'
	[ "${lines[0]}" = 400 ]
	[[ $output == *"not a lookup"* ]]
	run -0 post /fs/xml </dev/null
	[ "${lines[0]}" = 400 ]
	run -0 post /fs/other <"$golden/sip_auth.in"
	[ "${lines[0]}" = 404 ]
}

@test "a lookup by GET may have a request line of 40 KB" {
	local filler
	filler=$(head -c 40000 /dev/zero | tr '\0' x)
	run -0 get /fs/xml "$(cat "$golden/user_call.in")&variable_x=$filler"
	[ "${lines[0]}" = 200 ]
	cmp "$BATS_TEST_TMPDIR/body" "$golden/user_call.out"
}

@test "a form of more than 256 KiB is refused with 413" {
	run -0 post /fs/xml < <(printf 'section=directory&x='
		head -c 300000 /dev/zero | tr '\0' x)
	[ "${lines[0]}" = 413 ]
}

@test "a form with too many fields is refused with 400" {
	run -0 post /fs/xml < <(printf 'section=directory'
		yes '&a=b' | head -n 5000 | tr -d '\n')
	[ "${lines[0]}" = 400 ]
	[[ $output == *"more than 4096 fields"* ]]
}

@test "a lookup's result is counted by its action" {
	local found not_found
	found=$(counter user_call found)
	not_found=$(counter user_call 'not found')
	post /fs/xml <"$golden/user_call.in"
	post /fs/xml <"$golden/user_call-unknown-user.in"
	[ "$(counter user_call found)" -eq $((found + 1)) ]
	[ "$(counter user_call 'not found')" -eq $((not_found + 1)) ]
}

@test "the time that lookups take is a histogram" {
	local line all
	run -0 post /fs/xml <"$golden/sip_auth.in"
	run -0 get /metrics ''
	[ "$(grep -c '^# TYPE voip_dirxml_lookup_seconds histogram$' <<<"$output")" -eq 1 ]
	all=$(sed -n 's/^voip_dirxml_lookup_seconds_count //p' <<<"$output")
	[ "$all" -gt 0 ]
	line="voip_dirxml_lookup_seconds_bucket{le=\"+Inf\"} $all"
	grep -qxF "$line" <<<"$output"
	grep -qE '^voip_dirxml_lookup_seconds_sum [0-9]+\.[0-9]{3}$' <<<"$output"
}

@test "a lookup is a line of the log at debug, without secrets" {
	post /fs/xml <"$golden/sip_auth.in"
	wait_for grep -q 'lookup section=directory action=sip_auth domain=pbx.example.com user=1001 .*result=found' \
		"$dirxml_dir/log"
	run -1 grep 19869633d6d06488237a0b67281c6ce1 "$dirxml_dir/log"
	run -1 grep 'request .*path=/fs/xml status=200' "$dirxml_dir/log"
}

@test "cacheable, registrar, proxy and user_context shape the answer" {
	run -0 voip-dirxml --user 1001@pbx.example.com --set dirxml_cacheable=60000 \
		--set registrar=freeswitch --set user_context=ctx
	[[ $output == *'<user id="1001" cacheable="60000">'* ]]
	[[ $output == *'${sofia_contact(*/${dialed_user}@${dialed_domain})}"/>'* ]]
	[[ $output == *'"user_context" value="ctx"'* ]]
	run -0 voip-dirxml --user 1001@pbx.example.com --set proxy=192.0.2.7:5070
	[[ $output == *';fs_path=sip:192.0.2.7:5070"/>'* ]]
	[[ $output != *cacheable* ]]
	run -78 voip-dirxml --user 1001@pbx.example.com --set 'proxy=a,b'
	[[ $output == *"setting 'proxy' is not an address: 'a,b'"* ]]
}

@test "a cacheable answer is the same for every question about a user" {
	local action first=
	for action in sip_auth user_call message-count voicemail-lookup \
		reverse-auth-lookup; do
		run -0 voip-dirxml --user 1001@pbx.example.com --action "$action" \
			--set dirxml_cacheable=1000
		[ "$output" = "${first:=$output}" ]
	done
	run -0 voip-dirxml --user 1001@pbx.example.com \
		--set dirxml_cacheable=1000
	[ "$output" = "$first" ]
}

@test "the filter takes users, groups and domains from its arguments" {
	run -0 --separate-stderr voip-dirxml --user 1001@pbx.example.com \
		--action sip_auth
	[ "$output" = "$(cat "$golden/sip_auth.out")" ]
	run -0 voip-dirxml --group sales@pbx.example.com
	[ "$output" = "$(cat "$golden/group_call.out")" ]
	run -0 voip-dirxml --group 'R & D@pbx.example.com'
	[ "$output" = "$(cat "$golden/group_call-awkward-name.out")" ]
	run -0 voip-dirxml --domain pbx.example.com
	[ "$output" = "$(cat "$golden/domain.out")" ]
	run -0 voip-dirxml --domain pbx.example.com --purpose network-list
	[ "$output" = "$(cat "$golden/network-list.out")" ]
}

@test "--explain says of each value where it came from" {
	local plain
	run -0 voip-dirxml --explain 1001@pbx.example.com
	[[ $output == *'name="a1-hash" value="19869633d6d06488237a0b67281c6ce1"/>  <!-- users.ha1 -->'* ]]
	[[ $output == *'value="default"/>  <!-- setting user_context -->'* ]]
	[[ $output == *'value="Example Ltd"/>  <!-- domains.caller_id_name -->'* ]]
	[[ $output == *'value="Alice Liddell"/>  <!-- users.full_name -->'* ]]
	xmllint --noout - <<<"$output"
	plain=$(printf '%s\n' "$output" | sed 's/  <!-- [^>]* -->$//')
	[ "$plain" = "$(voip-dirxml --user 1001@pbx.example.com)" ]
	# Nothing is without a source.
	run ! grep -E '<(param|variable|user) .*>$' <(grep -v -- '-->$' <<<"$output")
	run -1 voip-dirxml --explain nobody@pbx.example.com
	run -64 voip-dirxml --explain 1001@pbx.example.com --user 1001@pbx.example.com
}

@test "the filter prints the not-found document and ends with 1" {
	run -1 --separate-stderr voip-dirxml --user 9999@pbx.example.com
	[ "$output" = "$(cat "$captured/responses/notfound.xml")" ]
	[ "$stderr" = "voip-dirxml: not found" ]
}

@test "the filter says what is wrong with its arguments" {
	run -64 voip-dirxml --user 1001
	[[ $output == *"'1001' is not USER@DOMAIN"* ]]
	run -64 voip-dirxml --group @x
	[[ $output == *"'@x' is not GROUP@DOMAIN"* ]]
	run -64 voip-dirxml --user 1@a --domain a
	[[ $output == *"exclude each other"* ]]
	run -64 voip-dirxml --action sip_auth </dev/null
	[[ $output == *"need --user, --group or --domain"* ]]
	run -64 voip-dirxml --user 1@a --listen "unix:$dirxml_dir/other"
	[[ $output == *"'--listen' serves, and other arguments ask"* ]]
	run -64 voip-dirxml dialplan --domain a --inetd
	[[ $output == *"'--inetd' serves, and other arguments ask"* ]]
	run -64 voip-dirxml surprise
	[[ $output == *"'surprise' needs --domain"* ]]
	run -65 voip-dirxml </dev/null
	[[ $output == *"not a lookup"* ]]
}

@test "a change in the database is in the next answer" {
	psql -Xq -c "insert into voip.users (domain_id, username, full_name)
		select id, 'late', 'Before' from voip.domains where domain = 'pbx.example.com'"
	run -0 voip-dirxml --user late@pbx.example.com
	[[ $output == *'value="Before"'* ]]
	psql -Xq -c "update voip.users set active = false
		where username = 'late'"
	run -1 voip-dirxml --user late@pbx.example.com
	psql -Xq -c "delete from voip.users where username = 'late'"
}
