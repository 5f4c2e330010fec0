# dirxml.bash: voip-dirxml at a unix socket, in front of the tenants of
# data/dirxml/seed.sql.
#
#   dirxml_setup            a database of the file's own; or, with the argument
#                           `cluster`, a server of its own, named node
#   dirxml_teardown
#   dirxml_start [OPTION...]
#   dirxml_stop
#   post PATH / get PATH QUERY [CURL-OPTION...]: prints status, newline, body
#                           without its generation
#
# shellcheck shell=bash

load helper
load cluster

dirxml_setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	dirxml_dir=$(mktemp -d /tmp/voip-dirxml.XXXXXX)
	if [ "${1:-}" = cluster ]; then
		cluster_base
		cluster_init node
		cluster_start node
		export cluster_base PGHOST=$cluster_base/node
		cluster_load voip_dirxml
		export PGDATABASE=voip_dirxml
	else
		clone_db
	fi
	psql -Xq -v ON_ERROR_STOP=1 -f tests/data/dirxml/seed.sql
	export dirxml_dir
	export VOIP_DATABASE="dbname=$PGDATABASE user=voip_dirxml"
	export VOIP_CONFIG=$dirxml_dir/voip.conf VOIP_LOG_LEVEL=debug
	export VOIP_DIRXML_STATE_DIR=
	: >"$VOIP_CONFIG"
}

dirxml_teardown() {
	if [ -n "${cluster_base:-}" ]; then
		cluster_remove
	else
		drop_db
	fi
	rm -rf "${dirxml_dir:?}"
}

dirxml_start() {
	export dirxml_socket=$dirxml_dir/socket
	rm -f "$dirxml_socket"
	voip-dirxml --listen "unix:$dirxml_socket" "$@" </dev/null 3>&- \
		2>"$dirxml_dir/log" &
	export dirxml_pid=$!
	wait_for [ -S "$dirxml_socket" ]
}

dirxml_stop() {
	stop_process "$dirxml_pid"
}

# The form on standard input.
post() {
	local path=$1

	shift
	curl -sS -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}\n' \
		--unix-socket "$dirxml_socket" --data-binary @- "$@" \
		"http://localhost$path" || return
	sed -i '2s/ generation="[0-9]*">$/>/' "$BATS_TEST_TMPDIR/body"
	cat "$BATS_TEST_TMPDIR/body"
}

get() {
	local path=$1 query=$2

	shift 2
	curl -sS -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}\n' \
		--unix-socket "$dirxml_socket" "$@" \
		"http://localhost$path${query:+?}$query" || return
	sed -i '2s/ generation="[0-9]*">$/>/' "$BATS_TEST_TMPDIR/body"
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
	get /metrics '' | sed -n "s/^voip_dirxml_lookups_total{section=\"[a-z]*\",action=\"$1\",result=\"$2\"} //p"
}
