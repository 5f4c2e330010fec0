# setup_suite.bash: one private PostgreSQL for the whole run.
#
# Its database voip_template holds the schema; a file clones it (helper.bash),
# which costs a hundredth of loading it.  fsync is off: files that prove
# durability start a cluster of their own (cluster.bash).

setup_suite() {
	cd "$BATS_TEST_DIRNAME/.." || return
	# What the caller's environment says must not lead elsewhere.
	local name
	for name in $(compgen -e | grep -E '^(PG|VOIP_)' || :); do
		[ "$name" = PG_BIN ] || unset "$name"
	done
	# shellcheck source=tests/cluster.bash
	. tests/cluster.bash
	cluster_base
	cluster_init suite
	cluster_start suite max_connections=100
	export VOIP_CONFIG=/dev/null PGUSER=postgres
	# A busy machine is late: no test is to learn that by chance.
	export VOIP_DATABASE_CONNECT_TIMEOUT=20s
	export PGHOST=$cluster_base/suite SUITE_BASE=$cluster_base
	VOIP_DATABASE=dbname=voip_template voip-schema init >/dev/null
}

teardown_suite() {
	# shellcheck source=tests/cluster.bash
	. "$BATS_TEST_DIRNAME/cluster.bash"
	cluster_base=${SUITE_BASE:?}
	cluster_remove
}
