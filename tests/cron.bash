# cron.bash: a real cron with etc/cron.d/voip, in namespaces of its own.
#
#   cron_setup       the folder of a private machine, in $machine: its /etc with
#                    the users of etc/sysusers.d, the programs under
#                    /usr/local/sbin, and nothing of the real one's /run, /etc
#                    and /var/spool
#   "${in_machine[@]}" COMMAND...  run it there
#   cron_at TIME     cron there as if that were the time; its process in $pid
#   cron_stop        ends it, and cron_teardown all
#
# Nothing of the machine's is seen or changed: its folders are covered by mounts
# that no other process has, and all ends with the first process there.
# shellcheck shell=bash

# shellcheck disable=SC2016 # for the shell inside
cron_mounts='
machine=$1 socket=$2
shift 2
mount --bind "$socket" "$machine/run/postgresql/.s.PGSQL.5432"
mount --rbind "$machine/run" /run
mount --bind "$machine/etc" /etc
mount --bind "$machine/spool" /var/spool
mount --bind "$machine/log" /var/log
mount --bind "$machine/sbin" /usr/local/sbin
exec "$@"'
cron_deps=$BATS_TEST_DIRNAME/../build/deps

# Users and groups as systemd-sysusers makes them; freeswitch's files are to be
# moved and removed by two of them.
cron_users() {
	local etc=$machine/etc kind name members='' id=61000

	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$etc/passwd"
	printf 'root:x:0:\n' >"$etc/group"
	printf 'root:*:19000:0:99999:7:::\n' >"$etc/shadow"
	while read -r kind name _; do
		[ "$kind" = u ] || continue
		id=$((id + 1))
		printf '%s:x:%d:%d::/:/usr/sbin/nologin\n' "$name" "$id" "$id"
		printf '%s:x:%d:\n' "$name" "$id" >>"$etc/group"
		printf '%s:*:19000:0:99999:7:::\n' "$name" >>"$etc/shadow"
		members+=,$name
	done <etc/sysusers.d/voip.conf >>"$etc/passwd"
	cat >>"$etc/group" <<-END
		crontab:x:61099:
		voip:x:61000:${members#,}
		freeswitch:x:61100:voip-cdr-ingest,voip-prune
	END
}

cron_setup() {
	local etc name

	machine=$(mktemp -d /tmp/voip-cron.XXXXXX)
	etc=$machine/etc
	mkdir -p "$etc"/{cron.d,pam.d,voip} "$machine"/{sbin,log,lib,spool/cron/crontabs}
	chmod -R 755 "$machine"
	mkdir -p "$machine/run/lock" "$machine/run/postgresql"
	chmod 1777 "$machine/run/lock"
	: >"$machine/run/postgresql/.s.PGSQL.5432"
	cp -a /etc/ld.so.* "$etc"
	printf 'passwd: files\ngroup: files\nshadow: files\n' \
		>"$etc/nsswitch.conf"
	: >"$etc/crontab"
	for name in account auth session; do
		echo "$name required pam_permit.so"
	done >"$etc/pam.d/cron"
	cron_users
	cp etc/cron.d/voip "$etc/cron.d/voip"
	chmod 644 "$etc/cron.d/voip" "$etc"/{passwd,group,crontab}
	for name in voip-cdr-flush voip-cdr-ingest voip-prune; do
		cp "$(command -v "$name")" "$machine/sbin"
	done
	cp "$cron_deps/cron/usr/sbin/cron" "$machine/lib"
	cp "$(find "$cron_deps/libfaketime/" -name libfaketime.so.1)" \
		"$machine/lib"
	in_machine=(unshare --mount --pid --fork --kill-child --mount-proc
		sh -euc "$cron_mounts" sh "$machine" "$PGHOST/.s.PGSQL.5432")
}

cron_at() {
	"${in_machine[@]}" env -i TZ=UTC PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		LD_PRELOAD="$machine/lib/libfaketime.so.1" FAKETIME="@$1" \
		"$machine/lib/cron" -f 3>&- 4>&- </dev/null \
		>"$machine/cron.log" 2>&1 &
	pid=$!
}

# unshare holds SIGTERM off; what it started dies with it.
cron_stop() {
	kill -KILL "$pid"
	wait "$pid" || :
	pid=''
}

cron_teardown() {
	[ -z "${pid:-}" ] || cron_stop
	rm -rf "${machine:?}"
}
