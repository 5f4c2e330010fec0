# kamailio.bash: a Kamailio of a test's own, with the tables, modules and the
# RPC access of ours, on the test's database.  Nothing of the machine's is
# used: the packages were unpacked into build/deps (tests/deps).
#
#   kamailio_start        one for the file, at the port that it had before;
#                         VOIP_KAMAILIO_RPC leads to it
#   kamailio_stop [SIGNAL]
#   rpc METHOD [PARAMETER...]  the result as JSON; fails with the error
#   remember TABLE KEY...      put keys into an htable
#   has TABLE KEY, gone TABLE KEY  is it there?
# shellcheck shell=bash

kamailio_root=$BATS_TEST_DIRNAME/../build/deps/kamailio
kamailio_libs=$(dirname "$(find "$kamailio_root/usr/lib" -name libsrdb1.so)")

kamailio_config() {
	local modules=$kamailio_libs/modules database
	database=$(find "$kamailio_root-postgres-modules/usr/lib" \
		-name db_postgres.so)

	cat <<-END
		debug=1
		log_stderror=yes
		fork=yes
		children=1
		tcp_children=1
		auto_aliases=no
		dns=no
		tcp_accept_no_cl=yes
		listen=tcp:127.0.0.1:$kamailio_port
		listen=udp:127.0.0.1:$kamailio_port
		mpath="$modules/"
		loadmodule "$database"
		loadmodule "tm.so"
		loadmodule "sl.so"
		loadmodule "pv.so"
		loadmodule "textops.so"
		loadmodule "xhttp.so"
		loadmodule "jsonrpcs.so"
		loadmodule "htable.so"
		loadmodule "domain.so"
		loadmodule "dispatcher.so"
		loadmodule "permissions.so"
		modparam("db_postgres", "con_param", "host=$PGHOST")
		modparam("domain|dispatcher|permissions|htable", "db_url",
			"postgres://kamailio:unused@localhost/$PGDATABASE")
		modparam("jsonrpcs", "transport", 1)
		modparam("permissions", "load_backends", 1)
		modparam("permissions|dispatcher", "reload_delta",
			${RELOAD_DELTA:-0})
		modparam("htable", "htable", "ext=>size=6;")
		modparam("htable", "htable", "extst=>size=6;")
		modparam("htable", "htable", "auth=>size=6;")
		modparam("htable", "htable", "authst=>size=6;")
		modparam("htable", "htable",
			"emergency=>size=4;dbtable=emergency;")
		request_route {
			if (is_method("OPTIONS")) {
				sl_send_reply("${OPTIONS_STATUS:-200}", "Answer");
			}
			exit;
		}
		event_route[xhttp:request] {
			set_reply_close();
			set_reply_no_connect();
			if (\$hu =~ "^/RPC") {
				jsonrpc_dispatch();
				exit;
			}
			xhttp_reply("404", "Not Found", "text/plain", "no\n");
		}
	END
}

kamailio_start() {
	local folder=$BATS_FILE_TMPDIR

	[ -e "$folder/kamailio.port" ] || free_port >"$folder/kamailio.port"
	kamailio_port=$(<"$folder/kamailio.port")
	export VOIP_KAMAILIO_RPC=http://127.0.0.1:$kamailio_port/RPC
	kamailio_config >"$folder/kamailio.cfg"
	LD_LIBRARY_PATH=$kamailio_libs ASAN_OPTIONS='' setsid \
		"$kamailio_root/usr/sbin/kamailio" -f "$folder/kamailio.cfg" \
		-DD -E -m 16 -M 4 -Y "$folder" -w "$folder" \
		>>"$folder/kamailio.log" 2>&1 3>&- 4>&- 9>&- </dev/null &
	echo $! >"$folder/kamailio.pid"
	disown $!
	wait_for rpc core.version >"$folder/waiting" || {
		cat "$folder/waiting" "$folder/kamailio.log"
		return 1
	}
}

kamailio_is_gone() {
	! kill -0 -- "-$1" 2>/dev/null
}

# The whole process group: main process and workers.
kamailio_stop() {
	local pid

	[ -e "$BATS_FILE_TMPDIR/kamailio.pid" ] || return 0
	pid=$(<"$BATS_FILE_TMPDIR/kamailio.pid")
	kill "-${1:-TERM}" -- "-$pid" 2>/dev/null || :
	wait_for kamailio_is_gone "$pid"
	rm "$BATS_FILE_TMPDIR/kamailio.pid"
}

rpc() {
	local method=$1 answer
	shift
	# shellcheck disable=SC2016 # jq's variables
	answer=$(jq -nc --arg method "$method" '{jsonrpc: "2.0", id: 1,
		$method, params: $ARGS.positional}' --args -- "$@" |
		curl -sS -m 20 -d @- -H 'Content-Type: application/json' \
			"$VOIP_KAMAILIO_RPC") || return
	jq -e .result <<<"$answer" || {
		echo "$answer"
		return 1
	}
}

remember() {
	local table=$1 key
	shift
	for key; do
		rpc htable.sets "$table" "$key" value >/dev/null
	done
}

has() {
	rpc htable.get "$1" "$2" >/dev/null
}

gone() {
	! has "$@" && rpc core.version >/dev/null
}
