#!/usr/bin/env bats
# What ha/ holds: keepalived takes the templates, systemd the units, PostgreSQL
# its settings; and a node that is cut off stops before the other may begin.

bats_require_minimum_version 1.5.0

setup() {
	load helper
	cd "$BATS_TEST_DIRNAME/.." || return
}

# The template with everything in its place; the programs need not be ours.
filled() {
	sed -e 's|@NODE@|node1|; s|@USER@|root|; s|@INTERFACE@|ve0|' \
		-e "s|@RUN@|$BATS_TEST_TMPDIR|; s|@ADVERT@|0.3|" \
		-e 's|@HEALTH@|/bin/true|; s|@FAILOVER@|/bin/true|' \
		-e 's|@OWN@|192.0.2.1|; s|@PEER@|192.0.2.2|' \
		-e 's|@VIP@|192.0.2.9/24|' "ha/$1"
}

# In milliseconds: what an advert of $1 ms and a priority make of
# the skew, RFC 5798 section 6.1.
earliest_takeover() { # ADVERT_MS PRIORITY
	echo $(((2 * $1 * 256 + (256 - $2) * $1) / 256))
}

ms() { # SETTING
	VOIP_CONFIG=/dev/null voip-failover --show-config |
		sed -n "s/^$1=\([0-9]*\)ms.*/\1/p"
}

# keepalived -t looks for the interface.
# shellcheck disable=SC2016 # of the shell within
tried() { # FILE
	unshare -n sh -c 'ip link add ve0 type veth peer name ve1 &&
		exec keepalived -t -f "$1"' sh "$1"
}

@test "keepalived takes both templates as they are" {
	local name
	for name in keepalived.conf keepalived-notify.conf; do
		filled "$name" >"$BATS_TEST_TMPDIR/$name"
		run -1 grep @ "$BATS_TEST_TMPDIR/$name"
		chmod 640 "$BATS_TEST_TMPDIR/$name"
		run -0 tried "$BATS_TEST_TMPDIR/$name"
	done
}

@test "nft takes the packet filter as it is" {
	sed 's|@PEER@|192.0.2.2|; s|@ADDRESS@|192.0.2.9|' ha/nftables.conf \
		>"$BATS_TEST_TMPDIR/nftables.conf"
	run -0 unshare -n nft -c -f "$BATS_TEST_TMPDIR/nftables.conf"
}

@test "keepalived -t sees a script that is missing" {
	filled keepalived.conf | sed 's|/bin/true check|/no/such check|' \
		>"$BATS_TEST_TMPDIR/keepalived.conf"
	run -5 tried "$BATS_TEST_TMPDIR/keepalived.conf"
	[[ $output == *"verdict_is_fresh since not found"* ]]
}

@test "a node that is cut off is fenced before the other one may take over" {
	local highest=254 fenced # what keepalived caps priority and timeline at
	# Its last answer, the beat in which it is missed, the witness.
	fenced=$(($(ms self_fence_after) + 100 + $(ms witness_timeout)))
	[ "$fenced" -ge 150 ]
	[ "$fenced" -lt "$(earliest_takeover 300 "$highest")" ]
}

@test "the unit of voip-failover finishes what it began, and comes back" {
	local unit=etc/systemd/voip-failover.service
	grep -qx KillMode=process $unit
	grep -qx Restart=always $unit
	grep -qx StartLimitIntervalSec=0 $unit
	grep -qx 'Before=keepalived.service' $unit
	grep -qx 'ExecCondition=/usr/local/sbin/voip-failover may-start' \
		ha/postgresql@.service.d/voip.conf
	mkdir "$BATS_TEST_TMPDIR/units"
	sed "s|/usr/local/sbin/|$BUILD/bin/|" $unit \
		>"$BATS_TEST_TMPDIR/units/voip-failover.service"
	run -0 systemd-analyze verify --man=no \
		"$BATS_TEST_TMPDIR/units/voip-failover.service"
	run -1 grep -E 'voip-failover.*(Unknown|ignoring)' <<<"$output"
}

@test "systemd takes each unit of etc/ and each drop-in of ha/" {
	local units=$BATS_TEST_TMPDIR/units file
	mkdir "$units"
	cp -r etc/systemd/* ha/*.d "$units"
	for file in keepalived postgresql@; do
		printf '[Service]\nExecStart=/bin/true\n' >"$units/$file.service"
	done
	sed -i "s|/usr/local/s\?bin/|$BUILD/bin/|g; s|@VIP@|192.0.2.9|g
		s|@INTERFACE@|eth0|g" "$units"/*.service "$units"/*/voip.conf
	mv "$units/postgresql@.service.d" "$units/postgresql@15-main.service.d"
	mv "$units/postgresql@.service" "$units/postgresql@15-main.service"
	SYSTEMD_UNIT_PATH=$units: run -0 systemd-analyze verify --man=no \
		"$units"/{voip-,keepalived,postgresql@}*.service \
		"$units"/*.socket "$units"/*.timer
	echo "$output"
	run -1 grep -F "$units" <<<"$output"
}

# What the probes of address and clock need, found by strace.
@test "the unit of voip-health lets its probes see, and comes back" {
	local unit=etc/systemd/voip-health.service
	grep -qx 'RestrictAddressFamilies=.* AF_NETLINK' $unit
	run -1 grep ^ProtectClock= $unit
	[ "$(grep ^SystemCallFilter= $unit | tail -n 1)" = \
		'SystemCallFilter=adjtimex clock_adjtime' ]
	grep -qx Restart=always $unit
	grep -qx StartLimitIntervalSec=0 $unit
	grep -qx WantedBy=multi-user.target $unit
}

@test "PostgreSQL takes each setting of ha/postgresql.conf" {
	local names
	names=$(sed -n "s/^\([a-z_]*\) = .*/('\1')/p" ha/postgresql.conf |
		paste -sd,)
	run -0 psql -XqAt -c "select n from (values $names) as v (n)
		where n not in (select name from pg_settings)"
	[ -z "$output" ]
}
