<?php
/**
 * php run.php WORDPRESS SERVER SITE: the plugin in a real WordPress, from the settings to the page; what came of it as JSON.
 */
list( , $wordpress, $server, $site ) = $argv;
define( 'ABSPATH', rtrim( $wordpress, '/' ) . '/' );
define( 'WP_HOME', $site );
define( 'WP_SITEURL', $site );
define( 'WP_USE_THEMES', false );
define( 'WP_DEBUG', true );
define( 'DISABLE_WP_CRON', true );
define( 'WP_HTTP_BLOCK_EXTERNAL', false );
foreach ( array( 'AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT' ) as $key ) {
	define( $key, str_repeat( $key, 3 ) );
}
$table_prefix = 'wp_';
$_SERVER += array( 'HTTP_HOST' => 'localhost', 'REQUEST_URI' => '/', 'REQUEST_METHOD' => 'GET', 'SERVER_NAME' => 'localhost', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1' );

$problems = array();
set_error_handler( function ( $level, $text, $file, $line ) use ( &$problems ) {
	// WordPress itself has a few on newer versions of PHP than it was written for.
	if ( false !== strpos( $file, 'integrations' ) ) {
		$problems[] = "$text in line $line";
	}
	return true;
} );
require ABSPATH . 'wp-settings.php';
require_once ABSPATH . 'wp-admin/includes/admin.php';
require_once dirname( __DIR__, 2 ) . '/integrations/wordpress/holdfast.php';

/** The settings page as somebody with these abilities sees it. */
function settings_page( array $abilities, array $post = array() ) {
	add_filter( 'user_has_cap', $grant = fn( $all ) => array_fill_keys( $abilities, true ) + $all );
	$_POST = $post;
	$_REQUEST = $post;
	ob_start();
	holdfast_settings_page();
	remove_filter( 'user_has_cap', $grant );
	return ob_get_clean();
}

/** What a visitor's page has: the content, and the scripts that belong to it. */
function page( $content ) {
	$html = apply_filters( 'the_content', $content );
	ob_start();
	wp_print_scripts( array( 'holdfast' ) );
	return $html . ob_get_clean();
}

do_action( 'init' );
$told = array( 'version' => $wp_version );
$told['unset'] = do_shortcode( '[holdfast]' );
foreach ( array( 'not an address' => 'http://', 'path' => "$server/embed.js?x=1", 'bare' => 'Book.Example.com/' ) as $name => $typed ) {
	update_option( 'holdfast_server', $typed );
	$told['server'][ $name ] = get_option( 'holdfast_server' );
}
$told['refused'] = wp_list_pluck( get_settings_errors( 'holdfast_server' ), 'message' );
$nonce = array( 'holdfast_test' => '1', '_wpnonce' => wp_create_nonce( 'holdfast_test' ) );
foreach ( array( array( $server, 'studio' ), array( $server, 'nobody' ), array( $site, 'studio' ), array( 'http://127.0.0.1:9', 'studio' ) ) as list( $at, $widget ) ) {
	update_option( 'holdfast_server', $at );
	update_option( 'holdfast_widget', $widget );
	preg_match( '#<div class="notice notice-(\w+)" role="status"><p>(.*?)</p>#', settings_page( array( 'manage_options' ), $nonce ), $found );
	$told['test'][] = array( $found[1], html_entity_decode( $found[2] ) );
}
update_option( 'holdfast_server', $server );
add_filter( 'home_url', $elsewhere = fn() => 'https://Elsewhere.example/blog' );
$told['elsewhere'] = holdfast_test()[1];
remove_filter( 'home_url', $elsewhere );
$told['page for others'] = settings_page( array( 'edit_posts' ) );
update_option( 'holdfast_server', $server );
update_option( 'holdfast_widget', 'Studio' );
$told['settings'] = settings_page( array( 'manage_options' ) );
$told['hostile'] = do_shortcode( '[holdfast label="<script>x</script>" accent=\'"><img src=x>\' mode="popup" service="a&b"]' );
$told['popup'] = page( '[holdfast mode="popup" label="Book now" theme="dark"]' );
$told['block'] = page( '<!-- wp:holdfast/booking {"accent":"#2f5d50","align":"wide"} /-->' );
// As wp-admin/edit-form-blocks.php does it.
wp_add_inline_script( 'wp-blocks', 'wp.blocks.unstable__bootstrapServerSideBlockDefinitions(' . wp_json_encode( get_block_editor_server_block_settings() ) . ');' );
ob_start();
wp_print_styles( array( 'wp-components', 'wp-block-editor', 'wp-edit-blocks' ) );
wp_print_scripts( array( 'holdfast-block' ) );
$told['editor'] = ob_get_clean();
holdfast_uninstall();
$told['left'] = array_values( array_filter( array_keys( $wpdb->kept ), fn( $name ) => 0 === strpos( $name, 'holdfast' ) ) );
$told['problems'] = $problems;
echo "\n", wp_json_encode( $told );
