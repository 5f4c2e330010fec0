#include "fssettings.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"

void
fs_dial_string(char out[FS_DIAL_STRING], const struct fs_settings *s,
	       const char *open, const char *close, const char *user)
{
	int n = snprintf(out, FS_DIAL_STRING,
			 "%s^^:sip_invite_domain=${dialed_domain}:"
			 "presence_id=%s@${dialed_domain}%s",
			 open, user, close);

	assert(n > 0 && n < FS_DIAL_STRING);
	if (s->at_freeswitch)
		snprintf(out + n, (size_t)(FS_DIAL_STRING - n),
			 "${sofia_contact(*/%s@${dialed_domain})}", user);
	else
		snprintf(out + n, (size_t)(FS_DIAL_STRING - n),
			 "sofia/internal/%s@${dialed_domain};fs_path=sip:%s",
			 user, s->proxy);
}

/* A copy of a setting made of `alphabet` and letters and digits. */
static int
copy(char *to, size_t size, const char *name, const char *value,
     const char *alphabet, struct verr *e)
{
	size_t i;

	for (i = 0; value[i]; i++) {
		char c = value[i];

		if (i + 1 >= size)
			return verr_set(e, VERR_CONFIG,
					"setting '%s' is too long", name);
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		      (c >= 'A' && c <= 'Z') || strchr(alphabet, c)))
			return verr_set(e, VERR_CONFIG,
					"setting '%s' has a character that "
					"FreeSWITCH would take for its own: "
					"'%s'",
					name, value);
		to[i] = c;
	}
	to[i] = '\0';
	return 0;
}

static int
read_proxies(struct fs_settings *s, const char *list, struct verr *e)
{
	char one[64];
	size_t len;

	s->nproxies = 0;
	for (list += strspn(list, " ,"); *list; list += strspn(list, " ,")) {
		len = strcspn(list, " ,");
		snprintf(one, sizeof(one), "%.*s", (int)len, list);
		if (len >= sizeof(one) || s->nproxies == FS_PROXIES ||
		    !network_parse(&s->proxies[s->nproxies++], one))
			return verr_set(e, VERR_CONFIG,
					"setting 'trusted_proxies' is no list "
					"of at most %d addresses or networks: "
					"'%s'",
					FS_PROXIES, one);
		list += len;
	}
	return 0;
}

static int
read_recordings(struct fs_settings *s, const char *directory, struct verr *e)
{
	size_t len;

	if (*directory != '/' || strstr(directory, "/.."))
		return verr_set(e, VERR_CONFIG,
				"setting 'recordings_dir' is no absolute path "
				"without '..': '%s'",
				directory);
	if (copy(s->recordings, sizeof(s->recordings), "recordings_dir",
		 directory, "/_.-", e) == -1)
		return -1;
	len = strlen(s->recordings);
	while (len && s->recordings[len - 1] == '/')
		s->recordings[--len] = '\0';
	return 0;
}

static int
read_rest(struct fs_settings *s, struct verr *e)
{
	s->ring_seconds = (long)(conf_ms("ring_time") / 1000);
	s->agents_available = conf_bool("agents_available");
	if (copy(s->voicemail_number, sizeof(s->voicemail_number),
		 "voicemail_number", conf_str("voicemail_number"), "*#+", e) ||
	    copy(s->gateway_profile, sizeof(s->gateway_profile),
		 "gateway_profile", conf_str("gateway_profile"), "_.-", e) ||
	    copy(s->music, sizeof(s->music), "queue_music",
		 conf_str("queue_music"), ":/_.-%(),;=", e) ||
	    read_recordings(s, conf_str("recordings_dir"), e))
		return -1;
	return read_proxies(s, conf_str("trusted_proxies"), e);
}

int
fs_settings_set(struct fs_settings *s, bool at_freeswitch, const char *proxy,
		const char *context, long cacheable_ms, struct verr *e)
{
	memset(s, 0, sizeof(*s));
	/* It stands in a list of legs, in which these mean something. */
	if (strlen(proxy) >= sizeof(s->proxy) || strpbrk(proxy, "${},|\"' "))
		return verr_set(e, VERR_CONFIG,
				"setting 'proxy' is not an address: '%s'",
				proxy);
	if (strlen(context) >= sizeof(s->context))
		return verr_set(e, VERR_CONFIG,
				"setting 'user_context' is too long");
	s->at_freeswitch = at_freeswitch;
	s->cacheable_ms = cacheable_ms;
	snprintf(s->proxy, sizeof(s->proxy), "%s", proxy);
	snprintf(s->context, sizeof(s->context), "%s", context);
	fs_dial_string(s->dial_user, s, "{", "}", "${dialed_user}");
	fs_dial_string(s->dial_group, s, "[", "]", "${dialed_user}");
	return read_rest(s, e);
}

int
fs_settings_read(struct fs_settings *s, struct verr *e)
{
	return fs_settings_set(s,
			       strcmp(conf_str("registrar"), "freeswitch") == 0,
			       conf_str("proxy"), conf_str("user_context"),
			       conf_int("dirxml_cacheable"), e);
}
