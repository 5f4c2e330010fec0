-- The history of the timelines as pg_wal has it, oldest first, for voip-health:
-- that of `newest`, which is this server's.  Each row is a timeline that ended:
-- where, why, and when the file of the next one was written.  The function is
-- voip_failover's, who may read the server's files (grant.sql); who calls it
-- gets these lines and no other file.

create function monitoring.timelines(newest bigint)
returns table (timeline bigint, lsn bigint, reason text, began timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
	with lines as (
		select string_to_array(line, E'\t') as f
		from regexp_split_to_table(convert_from(pg_read_binary_file(
			'pg_wal/' || lpad(upper(to_hex(newest)), 8, '0')
			|| '.history', 0, 1048576, true), 'UTF8'), '\n') as line
		where line ~ '^\s*[0-9]+\t[0-9A-F]+/[0-9A-F]+\t'
	), ended as (
		select f[1]::bigint as tli,
			(f[2]::pg_lsn - '0/0'::pg_lsn)::bigint as at,
			f[3] as why,
			lead(f[1]::bigint, 1, newest) over (
				order by f[1]::bigint) as next
		from lines
	)
	select tli, at, why, (pg_stat_file('pg_wal/'
		|| lpad(upper(to_hex(next)), 8, '0') || '.history',
		true)).modification
	from ended order by tli
$$;

do $$
begin
	if current_setting('is_superuser') = 'on' then
		alter function monitoring.timelines(bigint)
			owner to voip_failover;
	end if;
end
$$;
revoke all on function monitoring.timelines(bigint) from public;
