-- lsyncd.conf.lua: what is in files and no database follows the primary.
--
-- The same on both nodes.  lsyncd runs on the primary only, since it is one of
-- failover_services and not enabled at boot: so the direction is by role.
-- Nothing is removed on the other side: after a move it may be the only copy.
--
-- voip-sync is a user of both nodes in FreeSWITCH's group, with root's key of
-- the other node in its authorized_keys, and both directories are for the group:
--     adduser --system --shell /bin/sh --home /var/lib/voip-sync voip-sync
--     usermod -aG freeswitch voip-sync
--     chmod -R g+rwX DIRECTORY; find DIRECTORY -type d -exec chmod g+s {} +

settings {
	logfile = "/var/log/lsyncd/lsyncd.log",
	statusFile = "/run/voip/lsyncd.status",
	statusInterval = 5,
	nodaemon = true,
	insist = true,
}

for _, directory in ipairs({
	"/var/lib/freeswitch/recordings",
	"/var/lib/freeswitch/storage/voicemail",
}) do
	sync {
		default.rsyncssh,
		source = directory,
		host = "voip-sync@@PEER@",
		targetdir = directory,
		delete = false,
		delay = 5,
		-- A file that is newer there is not replaced by an older one.
		rsync = { archive = true, update = true, bwlimit = 20000 },
	}
end
