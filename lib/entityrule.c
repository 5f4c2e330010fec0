#include "entityrule.h"

#include <stddef.h>
#include <string.h>

/* Ends of names of constraints; the first row that fits counts. */
static const struct {
	const char *constraint;
	const char *rule;
} rules[] = {
	{ "extensions_user_check",
	  "type 'user' has a user, and no other type has one\n"
	  "hint: set type and the reference together: type=queue user= "
	  "queue=NAME" },
	{ "extensions_queue_check", "only type 'queue' has a queue" },
	{ "extensions_ivr_check", "only type 'ivr' has a menu" },
	{ "extensions_voicemail_check",
	  "only type 'voicemail' has a voicemail box" },
	{ "extensions_trunk_check", "only type 'trunk_out' has a trunk" },
	{ "extensions_conference_check",
	  "only type 'conference' has a conference" },
	{ "extensions_need_media_check",
	  "only 'user' and 'trunk_out' can do without media\n"
	  "hint: need_media= takes what the type wants" },
	{ "extensions_extension_check",
	  "letters, digits and '_.+*#-'; for trunk_out a pattern" },
	{ "trunks_register_needs_username_check",
	  "a trunk that registers needs a username" },
	{ "_auth_acl_check",
	  "the name of an address list, an address or a network, 1 to 128 of "
	  "letters, digits and '_.:/-'" },
	{ "trunks_name_check", "1 to 64 letters, digits and '_.-'" },
	{ "trunks_prefix_check", "1 to 32 digits, * and #, after a + or not" },
	{ "users_user_context_check", "1 to 64 letters, digits and '_.-'" },
	{ "ivr_entries_digit_check", "1 to 8 of the digits 0-9, * and #" },
	{ "media_nodes_destination_check",
	  "a SIP URI such as sip:10.0.0.11:5080" },
	{ "media_nodes_description_check", "64 characters at most" },
	{ "trusted_addresses_tag_check", "64 characters at most" },
	{ "trusted_addresses_grp_check", "1 or more" },
	{ "_max_members_check", "1 or more; empty is no limit" },
	{ "media_nodes_max_calls_check", "1 or more; empty is no limit" },
	{ "recording_policies_storage_path_check",
	  "an absolute path without '..'" },
	{ "api_keys_permissions_check",
	  "an object of entities and 'read' or 'write', "
	  "{\"extension\": \"read\"}" },
	{ "domain_admins_role_name_check",
	  "1 to 63 letters, digits and '_.-'" },
	{ "_email_check", "an address such as name@example.com" },
};

static const char *
find(const char *constraint, size_t len)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		size_t n = strlen(rules[i].constraint);

		if (n <= len &&
		    memcmp(constraint + len - n, rules[i].constraint, n) == 0)
			return rules[i].rule;
	}
	return NULL;
}

const char *
entity_rule_of(const char *constraint)
{
	return find(constraint, strlen(constraint));
}

const char *
entity_rule(const char *msg)
{
	static const char state[] = " [23514, ";
	const char *name = strstr(msg, state);
	size_t len;

	if (!name)
		return NULL;
	name += sizeof(state) - 1;
	len = strlen(name);
	return len && name[len - 1] == ']' ? find(name, len - 1) : NULL;
}
