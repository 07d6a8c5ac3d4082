# Written by ./dev docs from the tables: change it there.
_apium() {
	local word=${COMP_WORDS[COMP_CWORD]} words
	if [ "$COMP_CWORD" = 1 ]; then
		words="migrate createsuperuser groups grant revoke-grant drf_create_token flush_expired_tokens warm-cache settings check enqueue call result status inspect control events purge list queues dead schedule tasks routes docs worker gateway beat help"
	else
		case ${COMP_WORDS[1]} in
		migrate) words="--help --folder" ;;
		createsuperuser) words="--help --email --username --password-stdin" ;;
		groups) words="--help" ;;
		grant) words="--help --user --group --on" ;;
		revoke-grant) words="--help --user --group --on" ;;
		drf_create_token) words="--help --reset" ;;
		flush_expired_tokens) words="--help" ;;
		warm-cache) words="--help --as --url --most" ;;
		settings) words="--help" ;;
		check) words="--help --folder" ;;
		enqueue) words="--help --args --kwargs --queue --key --durability --eta --wait" ;;
		call) words="--help --args --kwargs --eta --countdown --expires --serializer --queue --exchange --routing-key --priority --time-limit --soft-time-limit --ignore-result --task-id --options" ;;
		result) words="--help --traceback --timeout --json" ;;
		status) words="--help --destination --timeout --json" ;;
		inspect) words="--help --destination --timeout --json --list" ;;
		control) words="--help --destination --timeout --json --list" ;;
		events) words="--help --dump" ;;
		purge) words="--help --queues --exclude-queues --force" ;;
		list) words="--help" ;;
		queues) words="--help" ;;
		dead) words="--help --queue" ;;
		schedule) words="--help --task --kwargs --queue --crontab --every --zone --missed --deadline --overlap --paused --count" ;;
		tasks) words="--help" ;;
		routes) words="--help" ;;
		docs) words="--help" ;;
		worker) words="--help --queues --exclude-queues --concurrency --autoscale --hostname --loglevel --task-events --events --time-limit --soft-time-limit --max-tasks-per-child --max-memory-per-child --purge --discard --pool --optimization --without-gossip --without-mingle" ;;
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _apium apium
