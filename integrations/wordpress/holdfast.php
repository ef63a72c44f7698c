<?php
/**
 * Plugin Name: Holdfast
 * Description: Bookings with payment from your own Holdfast server: a block, the shortcode [holdfast], and a test of the connection.
 * Version: 1.0.0
 * Requires at least: 6.1
 * Requires PHP: 7.4
 * License: MIT
 * Text Domain: holdfast
 *
 * One file: copy it to wp-content/plugins/, or upload it zipped. It stores the server's address and a widget's name.
 */

defined( 'ABSPATH' ) || exit;

/** What the block and the shortcode take; all but the first three are passed on to the widget. */
const HOLDFAST_ATTRIBUTES = array(
	'widget' => '', 'mode' => 'inline', 'label' => '', 'service' => '', 'resource' => '', 'date' => '', 'lang' => '',
	'theme' => '', 'accent' => '', 'radius' => '', 'density' => '', 'font' => '', 'background' => '', 'transparent' => '',
);

/** The server's origin, without a slash at the end; empty while it is not set. */
function holdfast_server() {
	return (string) get_option( 'holdfast_server', '' );
}

/** Brings what was typed to an origin. What is none is refused with a message, and the old one stays. */
function holdfast_sanitize_server( $typed ) {
	$typed = trim( (string) $typed );
	if ( '' === $typed ) {
		return '';
	}
	$parts = wp_parse_url( preg_match( '#^https?://#i', $typed ) ? $typed : 'https://' . $typed );
	if ( empty( $parts['host'] ) || isset( $parts['user'] ) ) {
		add_settings_error( 'holdfast_server', 'holdfast_server', __( 'That is not a web address. Enter the address where Holdfast runs, such as https://book.example.com.', 'holdfast' ) );
		return holdfast_server();
	}
	return strtolower( $parts['scheme'] . '://' . $parts['host'] ) . ( isset( $parts['port'] ) ? ':' . $parts['port'] : '' );
}

function holdfast_sanitize_widget( $typed ) {
	return preg_replace( '/[^a-z0-9_-]/', '', strtolower( (string) $typed ) );
}

/** This site's origin, as browsers tell it. */
function holdfast_site_origin() {
	$parts = wp_parse_url( home_url() );
	return strtolower( $parts['scheme'] . '://' . $parts['host'] ) . ( isset( $parts['port'] ) ? ':' . $parts['port'] : '' );
}

/** The markup of one widget; for visitors nothing while no server is set, for those who can set it a hint. */
function holdfast_render( $given ) {
	$server = holdfast_server();
	if ( '' === $server ) {
		return current_user_can( 'manage_options' )
			? '<p>' . esc_html__( 'Holdfast: enter your server’s address under Settings > Holdfast.', 'holdfast' ) . '</p>'
			: '';
	}
	$given  = shortcode_atts( HOLDFAST_ATTRIBUTES, (array) $given, 'holdfast' );
	$widget = holdfast_sanitize_widget( $given['widget'] ? $given['widget'] : get_option( 'holdfast_widget', '' ) );
	$widget = $widget ? $widget : 'default';
	$label  = $given['label'] ? $given['label'] : __( 'Book a time', 'holdfast' );
	$popup  = 'popup' === $given['mode'];
	$pairs  = '';
	foreach ( array_diff_key( $given, array_flip( array( 'widget', 'mode', 'label' ) ) ) as $name => $value ) {
		if ( '' !== (string) $value ) {
			$pairs .= sprintf( ' %s="%s"', ( $popup ? 'data-' : '' ) . $name, esc_attr( $value ) );
		}
	}
	wp_enqueue_script( 'holdfast', $server . '/embed.js', array(), null, array( 'strategy' => 'async', 'in_footer' => true ) ); // phpcs:ignore WordPress.WP.EnqueuedResourceParameters.MissingVersion
	$link = sprintf( 'href="%s"', esc_url( $server . '/w/' . $widget . ( $given['service'] ? '?service=' . rawurlencode( $given['service'] ) : '' ) ) );
	if ( $popup ) {
		return sprintf( '<a class="wp-element-button" %s data-holdfast-popup="%s"%s>%s</a>', $link, esc_attr( $widget ), $pairs, esc_html( $label ) );
	}
	return sprintf( '<holdfast-booking widget="%s"%s><a %s>%s</a></holdfast-booking>', esc_attr( $widget ), $pairs, $link, esc_html( $label ) );
}

add_action( 'init', function () {
	register_setting( 'holdfast', 'holdfast_server', array( 'type' => 'string', 'sanitize_callback' => 'holdfast_sanitize_server', 'default' => '' ) );
	register_setting( 'holdfast', 'holdfast_widget', array( 'type' => 'string', 'sanitize_callback' => 'holdfast_sanitize_widget', 'default' => '' ) );
	add_shortcode( 'holdfast', 'holdfast_render' );

	wp_register_script( 'holdfast-block', false, array( 'wp-blocks', 'wp-element', 'wp-block-editor', 'wp-components', 'wp-i18n' ), '1.0.0', true );
	wp_add_inline_script( 'holdfast-block', HOLDFAST_BLOCK );
	$attributes = array();
	foreach ( HOLDFAST_ATTRIBUTES as $name => $default ) {
		$attributes[ $name ] = array( 'type' => 'string', 'default' => $default );
	}
	register_block_type( 'holdfast/booking', array(
		'api_version'     => 2,
		'title'           => __( 'Holdfast booking', 'holdfast' ),
		'description'     => __( 'Visitors choose a time, pay, and have a booking.', 'holdfast' ),
		'category'        => 'widgets',
		'icon'            => 'calendar-alt',
		'keywords'        => array( 'booking', 'calendar', 'appointment' ),
		'attributes'      => $attributes,
		'supports'        => array( 'html' => false, 'align' => array( 'wide', 'full' ) ),
		'editor_script'   => 'holdfast-block',
		'render_callback' => function ( $attributes ) {
			$wrapper = get_block_wrapper_attributes();
			$inner   = holdfast_render( $attributes );
			return '' === $inner ? '' : "<div $wrapper>$inner</div>";
		},
	) );
} );

/** Before WordPress 6.3 no script could be asked to be async. */
add_filter( 'script_loader_tag', function ( $tag, $handle ) {
	return 'holdfast' === $handle && ! preg_match( '/\sasync/', $tag ) ? str_replace( ' src=', ' async src=', $tag ) : $tag;
}, 10, 2 );

/** The block in the editor: what it opens, and how. The widget itself is on the published page. */
const HOLDFAST_BLOCK = <<<'JS'
( function ( blocks, element, editor, components, i18n ) {
	var el = element.createElement, __ = i18n.__;
	blocks.registerBlockType( 'holdfast/booking', {
		edit: function ( props ) {
			var values = props.attributes;
			function text( name, label, help ) {
				return el( components.TextControl, {
					label: label, help: help, value: values[ name ],
					onChange: function ( value ) { var change = {}; change[ name ] = value; props.setAttributes( change ); },
				} );
			}
			function choice( name, label, options ) {
				return el( components.SelectControl, {
					label: label, value: values[ name ], options: options,
					onChange: function ( value ) { var change = {}; change[ name ] = value; props.setAttributes( change ); },
				} );
			}
			return el( 'div', editor.useBlockProps(),
				el( editor.InspectorControls, null,
					el( components.PanelBody, { title: __( 'Look', 'holdfast' ) },
						choice( 'theme', __( 'Light or dark', 'holdfast' ), [
							{ value: '', label: __( 'As the widget', 'holdfast' ) }, { value: 'auto', label: __( "Visitor's choice", 'holdfast' ) },
							{ value: 'light', label: __( 'Light', 'holdfast' ) }, { value: 'dark', label: __( 'Dark', 'holdfast' ) } ] ),
						text( 'accent', __( 'Accent colour', 'holdfast' ), '#2f5d50' ) ) ),
				el( components.Placeholder, {
					icon: 'calendar-alt', label: __( 'Holdfast booking', 'holdfast' ), isColumnLayout: true,
					instructions: __( 'The widget is shown on the published page.', 'holdfast' ) },
					choice( 'mode', __( 'Where it opens', 'holdfast' ), [
						{ value: 'inline', label: __( 'On the page', 'holdfast' ) }, { value: 'popup', label: __( 'In a dialog, from a button', 'holdfast' ) } ] ),
					text( 'widget', __( 'Widget', 'holdfast' ), __( 'Its name; empty for the one in the settings.', 'holdfast' ) ),
					text( 'service', __( 'Service', 'holdfast' ), __( 'Its id, to open with it; empty for all.', 'holdfast' ) ),
					text( 'label', __( 'Button or link', 'holdfast' ) ) ) );
		},
		save: function () { return null; },
	} );
} )( window.wp.blocks, window.wp.element, window.wp.blockEditor, window.wp.components, window.wp.i18n );
JS;

/** Asks the server whether this site may show the widget: ( 'success' or 'error', a sentence ). */
function holdfast_test() {
	$server = holdfast_server();
	if ( '' === $server ) {
		return array( 'error', __( 'Enter your server’s address first.', 'holdfast' ) );
	}
	$widget = get_option( 'holdfast_widget', '' );
	$widget = $widget ? $widget : 'default';
	$asked  = array( 'widget' => $widget, 'origin' => rawurlencode( holdfast_site_origin() ) );
	$answer = wp_remote_get( add_query_arg( $asked, $server . '/embed/why' ), array( 'timeout' => 10, 'headers' => array( 'Accept' => 'application/json' ) ) );
	if ( is_wp_error( $answer ) ) {
		/* translators: 1: address, 2: reason */
		return array( 'error', sprintf( __( '%1$s does not answer: %2$s', 'holdfast' ), $server, $answer->get_error_message() ) );
	}
	$told = json_decode( wp_remote_retrieve_body( $answer ), true );
	switch ( is_array( $told ) ? ( $told['code'] ?? '' ) : '' ) {
		case 'OK':
			/* translators: 1: address, 2: widget, 3: this site */
			return array( 'success', sprintf( __( '%1$s answers, and %3$s may show the widget “%2$s”.', 'holdfast' ), $server, $widget, holdfast_site_origin() ) );
		case 'UNKNOWN_WIDGET':
			/* translators: 1: address, 2: widget */
			return array( 'error', sprintf( __( '%1$s has no widget called “%2$s”.', 'holdfast' ), $server, $widget ) );
		case 'ORIGIN_NOT_ALLOWED':
			/* translators: 1: this site, 2: widget */
			return array( 'error', sprintf( __( 'Add %1$s to allowed_origins of [%2$s] in widgets.toml, and restart Holdfast.', 'holdfast' ), holdfast_site_origin(), $widget ) );
	}
	/* translators: 1: address, 2: HTTP status */
	return array( 'error', sprintf( __( 'What answers at %1$s is not Holdfast (status %2$s).', 'holdfast' ), $server, wp_remote_retrieve_response_code( $answer ) ) );
}

add_action( 'admin_menu', function () {
	add_options_page( 'Holdfast', 'Holdfast', 'manage_options', 'holdfast', 'holdfast_settings_page' );
} );

add_filter( 'plugin_action_links_' . plugin_basename( __FILE__ ), function ( $links ) {
	array_unshift( $links, sprintf( '<a href="%s">%s</a>', esc_url( admin_url( 'options-general.php?page=holdfast' ) ), esc_html__( 'Settings', 'holdfast' ) ) );
	return $links;
} );

function holdfast_settings_page() {
	if ( ! current_user_can( 'manage_options' ) ) {
		return;
	}
	$tested = null;
	if ( isset( $_POST['holdfast_test'] ) && check_admin_referer( 'holdfast_test' ) ) {
		$tested = holdfast_test();
	}
	?>
	<div class="wrap">
		<h1>Holdfast</h1>
		<?php if ( $tested ) : ?>
			<div class="notice notice-<?php echo esc_attr( $tested[0] ); ?>" role="status"><p><?php echo esc_html( $tested[1] ); ?></p></div>
		<?php endif; ?>
		<form method="post" action="<?php echo esc_url( admin_url( 'options.php' ) ); ?>">
			<?php settings_fields( 'holdfast' ); ?>
			<table class="form-table" role="presentation">
				<tr>
					<th scope="row"><label for="holdfast_server"><?php esc_html_e( 'Address of your server', 'holdfast' ); ?></label></th>
					<td><input class="regular-text" type="url" id="holdfast_server" name="holdfast_server" dir="ltr" placeholder="https://book.example.com" value="<?php echo esc_attr( holdfast_server() ); ?>"></td>
				</tr>
				<tr>
					<th scope="row"><label for="holdfast_widget"><?php esc_html_e( 'Widget', 'holdfast' ); ?></label></th>
					<td><input class="regular-text" type="text" id="holdfast_widget" name="holdfast_widget" dir="ltr" placeholder="default" value="<?php echo esc_attr( get_option( 'holdfast_widget', '' ) ); ?>">
					<p class="description"><?php esc_html_e( 'Its name in widgets.toml, for blocks and shortcodes that name none.', 'holdfast' ); ?></p></td>
				</tr>
			</table>
			<?php submit_button(); ?>
		</form>
		<h2><?php esc_html_e( 'Test the connection', 'holdfast' ); ?></h2>
		<p><?php esc_html_e( 'Asks your server whether this site may show the widget. Save first.', 'holdfast' ); ?></p>
		<form method="post">
			<?php wp_nonce_field( 'holdfast_test' ); ?>
			<button class="button" name="holdfast_test" value="1"><?php esc_html_e( 'Test', 'holdfast' ); ?></button>
		</form>
		<h2><?php esc_html_e( 'In your pages', 'holdfast' ); ?></h2>
		<p><?php esc_html_e( 'Add the block “Holdfast booking”, or a shortcode:', 'holdfast' ); ?></p>
		<p><code>[holdfast]</code> &nbsp; <code>[holdfast widget="studio" mode="popup" label="<?php esc_attr_e( 'Book a time', 'holdfast' ); ?>"]</code></p>
	</div>
	<?php
}

register_uninstall_hook( __FILE__, 'holdfast_uninstall' );

function holdfast_uninstall() {
	delete_option( 'holdfast_server' );
	delete_option( 'holdfast_widget' );
}
