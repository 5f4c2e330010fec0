#!/usr/bin/env bats
# etc/cron.d/voip under a real cron does what the timers of systemd do.
# shellcheck disable=SC2016 # for eval, and shells of their own
# shellcheck disable=SC2154 # what cron.bash sets

load helper
load cron

setup_file() {
	clone_db
}

teardown_file() {
	drop_db
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	cron_setup
}

teardown() {
	cron_teardown
}

# jobs: of each line its user and command, without lock and silence
jobs() {
	sed -n 's/^[*0-9]\S* \S* \S* \S* \S* //p' etc/cron.d/voip |
		sed 's/flock -n -E 0 [^ ]*\.lock //; s/ >.*//' | sort
}

# units: the same of the services that systemd's timers start
units() {
	local unit

	for unit in cdr-drain cdr-flush cdr-import prune; do
		printf '%s %s\n' \
			"$(sed -n 's/^User=//p' "etc/systemd/voip-$unit.service")" \
			"$(sed -n 's|^ExecStart=/usr/local/sbin/||p' \
				"etc/systemd/voip-$unit.service")"
	done | sed 's/ --follow$//' | sort
}

record() {
	printf '{"variables":{"uuid":"%s","start_uepoch":"%s000000"}}' "$1" \
		"$(date +%s)"
}

# as USER PROGRAM...: there, with nothing of ours in its environment
as() {
	"${in_machine[@]}" env -i PATH=/usr/local/sbin:/usr/bin:/bin setpriv \
		--reuid "$1" --regid "$1" --init-groups "${@:2}"
}

is_done() {
	[ "$(sql "select (select string_agg(leg_uuid, ' ' order by leg_uuid)
		from (select leg_uuid from voip.cdr union select query_uuid
			from voip.cdr_queue) as leg),
		(select count(*) from voip.cdr where leg_uuid = 'queued'),
		(select count(*) from voip.cdr_dead)")" = 'left queued spooled	1	0' ] &&
		[ ! -e "$left/imported/old.cdr.json" ]
}

# All that the lines begin falls on the minute of 03:20.
@test "cron drains, flushes, imports and prunes as the timers do" {
	local left=$machine/log/freeswitch/json_cdr
	[ "$(jobs)" = "$(units)" ]
	echo "database=dbname=$PGDATABASE
cdr_keep_imported=1s" >"$machine/etc/voip/voip.conf"
	mkdir -p "$left/imported" "$machine/spool/voip/cdr"
	record old >"$left/imported/old.cdr.json"
	record left >"$left/left.cdr.json"
	chown -R 61100:61100 "$machine/log/freeswitch"
	chmod 2770 "$left" "$left/imported"
	as root chown -R voip-cdr-ingest /var/spool/voip
	as voip-cdr-ingest voip-cdr-ingest --set database=host=/nonexistent \
		<<<"$(record spooled)"
	as voip-cdr-ingest voip-cdr-ingest <<<"$(record queued)"
	sql "insert into voip.cdr_dead (dead_at, body, body_sha256, reason)
		values (now() - interval '1 year', 'x', sha256('x'), 'y')"
	[ "$(sql "select count(*) from voip.cdr_queue")" -eq 1 ]
	# a cron that is slow to start misses its minute
	cron_at '2026-11-21 03:19:58'
	wait_for is_done || {
		cron_stop
		cron_at '2026-11-21 03:19:45'
		wait_for is_done
	}
	[ ! -e "$left/left.cdr.json" ]
	[ ! -s "$machine/cron.log" ]
}

@test "a run that finds the one before it still at work is done" {
	local name line lock
	for name in "$machine"/sbin/*; do
		printf '#!/bin/sh\necho "${0##*/} $*" >&2\n' >"$name"
	done
	while read -r line; do
		exec {lock}>"$machine/run/lock/${line%%.lock*}.lock"
		flock "$lock"
		run -0 as root sh -c "flock -n -E 0 /run/lock/$line"
		[ "$output" = '' ]
		exec {lock}>&-
		run -0 as root sh -c "flock -n -E 0 /run/lock/$line"
		[[ "$line " == *"${output% } "* ]]
		[[ $output == voip-* ]]
	done < <(sed -n 's|.* flock -n -E 0 /run/lock/||p' etc/cron.d/voip)
	[ -n "$output" ]
}
