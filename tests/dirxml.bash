# dirxml.bash: voip-dirxml at a unix socket, in front of a PostgreSQL of its
# own with the tenants of data/dirxml/seed.sql.
#
#   dirxml_database         cluster, schema, tenants; PGHOST and friends
#   dirxml_start [OPTION...]
#   dirxml_stop
#   post PATH / get PATH QUERY [CURL-OPTION...]: prints status, newline, body
#
# shellcheck shell=bash

load cluster

dirxml_database() {
	cluster_base
	export cluster_base
	cluster_init node
	cluster_start node
	export PGHOST=$cluster_base/node PGUSER=postgres
	cluster_load voip_platform
	psql -Xq -d voip_platform -v ON_ERROR_STOP=1 \
		-f tests/data/dirxml/seed.sql
	export VOIP_DATABASE="host=$PGHOST dbname=voip_platform user=voip_dirxml"
	export VOIP_CONFIG=$cluster_base/voip.conf VOIP_LOG_LEVEL=debug
	: >"$VOIP_CONFIG"
}

dirxml_start() {
	export dirxml_socket=$cluster_base/dirxml.sock
	rm -f "$dirxml_socket"
	voip-dirxml --listen "unix:$dirxml_socket" "$@" </dev/null 3>&- \
		2>"$cluster_base/dirxml.log" &
	export dirxml_pid=$!
	until_true [ -S "$dirxml_socket" ]
}

dirxml_stop() {
	kill "$dirxml_pid" && { wait "$dirxml_pid" || :; }
}

# until_true COMMAND...: at most ten seconds.
until_true() {
	local _

	for _ in {1..200}; do
		"$@" && return
		sleep 0.05
	done
	echo "in vain: $*"
	return 1
}

# The form on standard input.
post() {
	local path=$1

	shift
	curl -sS -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}\n' \
		--unix-socket "$dirxml_socket" --data-binary @- "$@" \
		"http://localhost$path" || return
	cat "$BATS_TEST_TMPDIR/body"
}

get() {
	local path=$1 query=$2

	shift 2
	curl -sS -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}\n' \
		--unix-socket "$dirxml_socket" "$@" \
		"http://localhost$path${query:+?}$query" || return
	cat "$BATS_TEST_TMPDIR/body"
}

# What FreeSWITCH's parser sees of the document on standard input; fails when
# its pre-processor would have touched it, or the rest is not well-formed.
parsed() {
	fs-preprocess >"$BATS_TEST_TMPDIR/seen" &&
		xmllint --noout "$BATS_TEST_TMPDIR/seen"
}

# A value of the document that parsed() saw.
seen() {
	xmllint --xpath "string($1)" "$BATS_TEST_TMPDIR/seen"
}

counter() {
	get /metrics '' | sed -n "s/^voip_dirxml_lookups_total{action=\"$1\",result=\"$2\"} //p"
}
