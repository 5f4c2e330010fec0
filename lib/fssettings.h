/*
 * fssettings: what the documents for FreeSWITCH take from the settings.
 *
 * Layer domain.  Read once and again at SIGHUP, so that a lookup reads no
 * setting by name; what is wrong in one is said here, and not in an answer.
 */
#ifndef FSSETTINGS_H
#define FSSETTINGS_H

#include <stdbool.h>

#include "network.h"
#include "verr.h"

#define FS_DIAL_STRING 768
#define FS_PROXIES     32

struct fs_settings {
	bool at_freeswitch; /* phones register there, not at the proxy */
	char proxy[256];    /* host:port */
	char context[128];  /* of users that have none */
	long cacheable_ms;  /* 0: FreeSWITCH keeps nothing */
	char dial_user[FS_DIAL_STRING];
	char dial_group[FS_DIAL_STRING];

	/* Whose X-VOIP headers are believed. */
	struct network proxies[FS_PROXIES];
	unsigned nproxies;
	char voicemail_number[65]; /* a caller's own box; "": none */
	char recordings[256];      /* directory, without a "/" at its end */
	long ring_seconds;

	char gateway_profile[65]; /* the SIP profile that has the trunks */
	char music[256];          /* of queues that have none that is safe */
	bool agents_available;    /* agents are, whenever a queue is loaded */
};

/* VERR_CONFIG names the setting that is wrong; `s` is then undefined. */
int fs_settings_read(struct fs_settings *s, struct verr *e);

/* The directory's from values at hand, everything else as by default. */
int
fs_settings_set(struct fs_settings *s, bool at_freeswitch, const char *proxy,
		const char *context, long cacheable_ms, struct verr *e);

/*
 * The dial-string of one user.  `open` is "{" or "[": FreeSWITCH takes {} only
 * at the start of a list of legs, and a group is such a list, with each
 * member's text in it.
 */
void fs_dial_string(char out[FS_DIAL_STRING], const struct fs_settings *s,
		    const char *open, const char *close, const char *user);

#endif
