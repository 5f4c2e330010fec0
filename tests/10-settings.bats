#!/usr/bin/env bats
# The settings: where a value comes from, what is refused, what is shown.

# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2030,SC2031 # each test has an environment of its own
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	while IFS= read -r name; do
		unset "$name"
	done < <(compgen -v VOIP_)
	export VOIP_CONFIG=$PWD/voip.conf
	: >voip.conf
	top=$BATS_TEST_DIRNAME/..
}

# The lines of --show-config for one setting: its origin and its value.
shown() {
	conf-tool "${@:2}" --show-config | grep -B 1 "^#\?$1="
}

@test "a setting that nobody sets has its default" {
	run -0 conf-tool get proxy database cdr_batch_size dirxml_credentials
	[ "$output" = $'127.0.0.1:5060\ndbname=voip_platform\n100' ]
	run -0 shown proxy
	[ "$output" = $'# default\nproxy=127.0.0.1:5060' ]
}

@test "the file overrides the default and is named with its line" {
	printf '# comment\n\nproxy=192.0.2.1:5060\n' >voip.conf
	run -0 conf-tool get proxy
	[ "$output" = 192.0.2.1:5060 ]
	run -0 shown proxy
	[ "$output" = "# $PWD/voip.conf:3"$'\nproxy=192.0.2.1:5060' ]
}

@test "the environment overrides the file" {
	echo proxy=192.0.2.1:5060 >voip.conf
	export VOIP_PROXY=192.0.2.2:5060
	run -0 conf-tool get proxy
	[ "$output" = 192.0.2.2:5060 ]
	run -0 shown proxy
	[ "$output" = $'# environment VOIP_PROXY\nproxy=192.0.2.2:5060' ]
}

@test "an option overrides the environment, and the last option counts" {
	export VOIP_PROXY=192.0.2.2:5060
	run -0 conf-tool --set proxy=192.0.2.3:5060 get proxy
	[ "$output" = 192.0.2.3:5060 ]
	run -0 conf-tool --set proxy=a --set user_context=b --set proxy=c \
		get proxy user_context
	[ "$output" = $'c\nb' ]
	run -0 shown proxy --set proxy=a
	[ "$output" = $'# --set\nproxy=a' ]
}

@test "an empty value in the environment is a value" {
	export VOIP_PROXY=
	run -0 shown proxy
	[ "$output" = $'# environment VOIP_PROXY\nproxy=' ]
}

@test "--config names the file, before VOIP_CONFIG" {
	echo proxy=a >voip.conf
	echo proxy=b >other.conf
	run -0 conf-tool --config other.conf get proxy
	[ "$output" = b ]
	run -0 conf-tool --config=/dev/null get proxy
	[ "$output" = 127.0.0.1:5060 ]
}

@test "a file that was asked for and is missing is a configuration error" {
	run -78 conf-tool --config missing.conf get proxy
	[ "$output" = "conf-tool: cannot read 'missing.conf': No such file or directory" ]
	VOIP_CONFIG=$PWD/gone run -78 conf-tool get proxy
	[ "$output" = "conf-tool: cannot read '$PWD/gone': No such file or directory" ]
	run -78 conf-tool --config . get proxy
	[ "$output" = "conf-tool: settings file '.': cannot read: Is a directory" ]
}

@test "a file that one may not read is an error with a hint" {
	local unprivileged=()
	chmod 0 voip.conf
	[ "$(id -u)" -ne 0 ] ||
		unprivileged=(setpriv "--bounding-set=-dac_override,-dac_read_search")
	run -78 "${unprivileged[@]}" conf-tool get proxy
	[ "$output" = "conf-tool: cannot read '$PWD/voip.conf': Permission denied
hint: only its owner and group may; --config or VOIP_CONFIG names another" ]
}

@test "durations and sizes are read in their base units" {
	run -0 conf-tool --set cdr_deadline=250ms ms cdr_deadline
	[ "$output" = 250 ]
	run -0 conf-tool --set cdr_keep=90d ms cdr_keep
	[ "$output" = 7776000000 ]
	run -0 conf-tool --set cdr_spool_limit=10G bytes cdr_spool_limit
	[ "$output" = 10737418240 ]
	run -0 conf-tool --set cdr_spool_limit=2097152 bytes cdr_spool_limit
	[ "$output" = 2097152 ]
}

@test "a misspelt name in the file names file, line and what was meant" {
	printf '\n\ndatabse=x\n' >voip.conf
	run -78 conf-tool get proxy
	[ "$output" = "conf-tool: $PWD/voip.conf:3: unknown setting 'databse'
hint: did you mean 'database'?" ]
}

@test "a value that does not fit says what is expected" {
	echo log_level=loud >voip.conf
	run -78 conf-tool get proxy
	[ "$output" = "conf-tool: $PWD/voip.conf:1: 'loud' is no value for 'log_level'
hint: expected one of: error warning info debug" ]
	: >voip.conf
	VOIP_CDR_WORKERS=0 run -78 conf-tool get proxy
	[ "$output" = "conf-tool: environment variable VOIP_CDR_WORKERS: '0' is out of range for 'cdr_workers'
hint: from 1 to 64" ]
}

@test "a wrong --set is a usage error" {
	run -64 conf-tool --set databse=x get proxy
	[ "$output" = "conf-tool: --set: unknown setting 'databse'
hint: did you mean 'database'?" ]
	run -64 conf-tool --set proxy get proxy
	[ "${lines[0]}" = "conf-tool: --set expects name=value, not 'proxy'" ]
	run -64 conf-tool --set cdr_workers=many get proxy
	[ "${lines[0]}" = "conf-tool: --set: 'many' is no value for 'cdr_workers'" ]
}

@test "control bytes of a settings file do not reach the terminal" {
	printf '\033[2Jx=1\n' >voip.conf
	run -78 conf-tool get proxy
	[ "${lines[0]}" = "conf-tool: $PWD/voip.conf:1: unknown setting '\\x1b[2Jx'" ]
	printf 'proxy=a\0b\n' >voip.conf
	run -78 conf-tool get proxy
	[ "$output" = "conf-tool: $PWD/voip.conf:1: a NUL byte" ]
}

@test "a file larger than 1 MiB is refused" {
	head -c 1100000 /dev/zero | tr '\0' '#' >voip.conf
	run -78 conf-tool get proxy
	[ "$output" = "conf-tool: settings file '$PWD/voip.conf': larger than 1 MiB" ]
}

@test "a shell that sources the file reads the same values" {
	cat >voip.conf <<'END'
VOIP_PROXY='a b;c'
VOIP_USER_CONTEXT="it's \"quoted\" \$HOME \\ \`x\`"
VOIP_CDR_SPOOL_DIR=/tmp/a-b_c:d@e%f+g,h=i
END
	(
		set -a
		# shellcheck source=/dev/null
		. ./voip.conf
		printf '%s\n' "$VOIP_PROXY" "$VOIP_USER_CONTEXT" "$VOIP_CDR_SPOOL_DIR"
	) >want
	conf-tool get proxy user_context cdr_spool_dir >got
	diff want got
}

@test "what --show-config prints can be read again and says the same" {
	cat >voip.conf <<'END'
database='host=a,b dbname=x'
proxy="it's"
cdr_keep=90d
service.my-db.start='run my db'
END
	conf-tool --show-config >shown.conf
	conf-tool --config shown.conf --show-config >again.conf
	diff <(grep -v '^#' shown.conf) <(grep -v '^#' again.conf)
	grep -qx "database='host=a,b dbname=x'" again.conf
	grep -qx 'proxy="it'\''s"' again.conf
	grep -qx "service.my_db.start='run my db'" again.conf
}

@test "a setting with a name of one's own works from file and environment" {
	echo "service.my-db.start='run my db'" >voip.conf
	export VOIP_SERVICE_MY_DB_STOP='halt my db'
	run -0 conf-tool get service.my-db.start service.my-db.stop service.other.stop
	[ "$output" = $'run my db\nhalt my db' ]
}

@test "secrets are shown to nobody" {
	echo "dirxml_credentials='fs:very secret'" >voip.conf
	chmod 600 voip.conf
	export VOIP_CDR_CREDENTIALS=fs:secret-too
	run -0 conf-tool --show-config
	[[ "$output" != *secret\ * && "$output" != *secret-too* ]]
	[[ "$output" == *$'\n#dirxml_credentials=********\n'* ]]
	[[ "$output" == *$'\n#cdr_credentials=********\n'* ]]
	run -0 conf-tool get dirxml_credentials
	[ "$output" = 'fs:very secret' ]
}

@test "a secret on the command line is refused" {
	run -64 conf-tool --set dirxml_credentials=fs:x get proxy
	[ "$output" = "conf-tool: --set: 'dirxml_credentials' is a secret, and the process list shows the command line
hint: put it into the settings file or the environment" ]
}

@test "a wrong secret is not repeated in the message" {
	printf 'dirxml_credentials="gehe\001im"\n' >voip.conf
	run -78 conf-tool get proxy
	[ "$output" = "conf-tool: $PWD/voip.conf:1: the value of 'dirxml_credentials' holds the control byte 0x01" ]
}

@test "a file with secrets that everyone can read is warned of once" {
	echo "dirxml_credentials='fs:x'" >voip.conf
	chmod 644 voip.conf
	run -0 --separate-stderr conf-tool reload voip.conf
	[ "$(grep -c 'holds secrets and everyone can read it' <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == *"warning: '$PWD/voip.conf' holds secrets and everyone can read it; chmod o-r would mend that" ]]
	chmod 640 voip.conf
	run -0 --separate-stderr conf-tool get proxy
	[ -z "$stderr" ]
	echo 'proxy=x' >voip.conf
	chmod 644 voip.conf
	run -0 --separate-stderr conf-tool get proxy
	[ -z "$stderr" ]
}

@test "a reload takes the new values" {
	echo proxy=new >new.conf
	echo proxy=old >voip.conf
	run -0 conf-tool reload new.conf
	[ "$output" = new ]
}

@test "a reload that fails keeps the old values" {
	printf 'proxy=new\nbad\n' >new.conf
	echo proxy=old >voip.conf
	run -78 --separate-stderr conf-tool reload new.conf
	[ "$output" = old ]
	[ "$stderr" = "conf-tool: new.conf:2: expected name=value" ]
}

@test "etc/voip.conf names every setting with its default" {
	diff <(conf-tool template) <(sed -n '/^$/,$p' "$top/etc/voip.conf")
}

@test "etc/voip.conf with everything enabled loads and is the default" {
	sed -n 's/^#\([a-z_]*=\)/\1/p' "$top/etc/voip.conf" >voip.conf
	diff <(conf-tool --show-config | grep -v '^#') \
		<(conf-tool --config /dev/null --show-config | grep -v '^#')
}

@test "voip.conf(5) names every setting with type, default and range" {
	diff <(conf-tool manual) <(grep '^\.It Cm .* Ns = Ns ' "$top/man/voip.conf.5")
}

@test "the example of voip.conf(5) is a valid file" {
	sed -n '/^\.Bd/,/^\.Ed/p' "$top/man/voip.conf.5" | grep -v '^\.' >voip.conf
	[ -s voip.conf ]
	chmod 600 voip.conf
	run -0 conf-tool get proxy
	[ "$output" = 192.0.2.10:5060 ]
}
