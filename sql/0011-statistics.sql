-- After many new rows in one transaction the planner must know of them before
-- their foreign keys are checked.  What an apply that was rolled back leaves
-- is large indexes of few rows, and with these numbers the check of
-- (domain_id, user_id) may walk through all users of a domain for each number.

set local role voip_owner;

-- The caller owns no table, so it may not analyse one itself.
create function voip.refresh_statistics(name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	if name !~ '^[a-z_]+$' or to_regclass('voip.' || name) is null then
		raise exception '% is no table of ours', quote_literal(name)
			using errcode = 'undefined_table';
	end if;
	execute format('analyze voip.%I', name);
end
$$;

revoke all on function voip.refresh_statistics(text) from public;
