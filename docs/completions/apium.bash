# Written by ./dev docs from the tables: change it there.
_apium() {
	local word=${COMP_WORDS[COMP_CWORD]} words
	if [ "$COMP_CWORD" = 1 ]; then
		words="migrate createsuperuser groups grant revoke-grant drf_create_token flush_expired_tokens settings check enqueue queues dead tasks routes docs worker gateway help"
	else
		case ${COMP_WORDS[1]} in
		migrate) words="--help --folder" ;;
		createsuperuser) words="--help --email --username --password-stdin" ;;
		groups) words="--help" ;;
		grant) words="--help --user --group --on" ;;
		revoke-grant) words="--help --user --group --on" ;;
		drf_create_token) words="--help --reset" ;;
		flush_expired_tokens) words="--help" ;;
		settings) words="--help" ;;
		check) words="--help --folder" ;;
		enqueue) words="--help --args --kwargs --queue --key --durability --eta --wait" ;;
		queues) words="--help" ;;
		dead) words="--help --queue" ;;
		tasks) words="--help" ;;
		routes) words="--help" ;;
		docs) words="--help" ;;
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _apium apium
