# static.bash: the part of bench/run about the dialplan by HTTP, and as files.
# shellcheck shell=bash
# shellcheck disable=SC2154 # $tmp, $out, $captures: bench/run and servers.bash

dialled() { # NAME COUNT FILE...
	fsload -c 1 -n "$2" --target /fs/xml/dialplan "127.0.0.1:$dirxml_port" \
		"${@:3}" | awk -v name="$1" '{
		printf "static    %-22s %6d us at p50, %6d us at p99\n",
			name, $10, $12 }'
}

# As many users as $2, counted from $1, each with a number.
add_users() {
	psql -XqAt -d voip_platform -v ON_ERROR_STOP=1 -v "from=$1" -v "n=$2" \
		>>"$out/static.log" <<-'END'
		insert into voip.users (domain_id, username, ha1, ha1b)
			select d.id, i, md5(i::text), md5(i::text)
			from voip.domains as d,
				generate_series(:from, :from + :n - 1) as i
			where d.domain = 'pbx.example.com';
		insert into voip.extensions (domain_id, extension, type, user_id)
			select domain_id, username, 'user', id from voip.users
			where username::int between :from and :from + :n - 1;
		analyze voip.users, voip.extensions;
	END
}

write_files() { # USERS
	local section took
	for section in directory dialplan; do
		took=$(PGUSER=voip_dirxml seconds voip-dirxml "$section" \
			--domain pbx.example.com)
		printf 'static    %-9s of %6d users, written in %.2f s: %.0f KiB\n' \
			"$section" "$1" "$took" "$(PGUSER=voip_dirxml \
				voip-dirxml "$section" --domain pbx.example.com |
				wc -c | awk '{ print $1 / 1024 }')"
	done
}

bench_static() {
	local capture=$captures/lookups/dialplan-1002--answered.http i
	add_users 2001 1000
	mkdir "$tmp/dialled"
	for i in {2001..2032}; do
		sed "s/=1002/=$i/g" "$capture" >"$tmp/dialled/$i.http"
	done
	start_dirxml
	dialled 'asked of the database' 32 "$tmp"/dialled/*.http
	dialled 'known' "${DIALLED:-4000}" "$tmp"/dialled/*.http
	write_files 1000
	add_users 20001 9000
	write_files 10000
}
