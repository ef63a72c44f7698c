<?php
/**
 * WordPress's own database class on a table of options in memory, which is all that a request needs that shows no post.
 * WordPress takes this file in place of MySQL, since it lies in the content folder under this name.
 */
class Options_In_Memory extends wpdb {
	/** @var array<string, string> */
	public $kept = array( 'siteurl' => 'http://localhost', 'home' => 'http://localhost', 'stylesheet' => 'none', 'template' => 'none' );

	public function __construct() {
		$this->ready       = true;
		$this->is_mysql    = true;
		$this->has_connected = true;
		$this->charset     = 'utf8mb4';
	}
	public function db_connect( $allow_bail = true ) { return true; }
	public function check_connection( $allow_bail = true ) { return true; }
	public function _real_escape( $data ) { return addslashes( (string) $data ); }
	public function db_version() { return '8.0'; }
	public function db_server_info() { return '8.0'; }
	public function get_col_charset( $table, $column ) { return 'utf8mb4'; }
	public function get_col_length( $table, $column ) { return false; }
	protected function get_table_charset( $table ) { return 'utf8mb4'; }

	public function query( $query ) {
		$this->last_result = array();
		$this->num_rows    = 0;
		$this->insert_id   = 0;
		if ( false === strpos( $query, 'wp_options' ) ) {
			return 0; // posts, users, terms: there are none
		}
		if ( preg_match( "/^\s*INSERT INTO .*? VALUES \('((?:[^'\\\\]|\\\\.)*)', '((?:[^'\\\\]|\\\\.)*)'/s", $query, $found ) ) {
			$this->kept[ stripslashes( $found[1] ) ] = stripslashes( $this->remove_placeholder_escape( $found[2] ) );
			return 1;
		}
		if ( preg_match( "/^\s*UPDATE .*? SET `option_value` = '((?:[^'\\\\]|\\\\.)*)'.* WHERE `option_name` = '(.*)'/s", $query, $found ) ) {
			$this->kept[ stripslashes( $found[2] ) ] = stripslashes( $this->remove_placeholder_escape( $found[1] ) );
			return 1;
		}
		if ( preg_match( "/^\s*DELETE .*`option_name` = '(.*)'/s", $query, $found ) ) {
			unset( $this->kept[ stripslashes( $found[1] ) ] );
			return 1;
		}
		$name = preg_match( "/option_name = '(.*?)'/", $query, $found ) ? stripslashes( $found[1] ) : null;
		foreach ( $this->kept as $key => $value ) {
			if ( null === $name || $name === $key ) {
				$this->last_result[] = (object) array( 'option_name' => $key, 'option_value' => $value, 'autoload' => 'yes' );
			}
		}
		if ( null !== $name ) {
			foreach ( $this->last_result as $row ) {
				unset( $row->option_name ); // a query by name asks for the value only
			}
		}
		return $this->num_rows = count( $this->last_result );
	}
}

$wpdb = new Options_In_Memory();
