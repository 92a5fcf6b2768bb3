import type { Command } from 'commander';
import { add, addForServer, BY_OPTION, FILE_OPTION, JSON_OPTION, type Run } from './command-options.js';

/** Commands that look after what is kept. */
export function spaceCommands(program: Command, run: Run): void {
  add(program, 'gc', 'delete blobs that nothing points at; servers may run meanwhile')
    .option(...FILE_OPTION)
    .option('--dry-run', 'say what would be deleted, and change nothing')
    .option('--reconcile', 'list the store as well, to find blobs that the database does not know')
    .option('--force', 'delete those also where they are more than a fifth of all')
    .option('--batch-size <number>', 'the blobs that are looked at together (default: storage.gc.batchSize)')
    .option(...JSON_OPTION)
    .action(run(() => import('./gc.js'), 'gc'));
  addForServer(program, 'cleanup', 'apply the rules of hosted repositories at once; exit 1 when something failed')
    .argument('[repository]', 'only this repository (default: all that have rules)')
    .option('--dry-run', 'list what would be removed, and remove nothing')
    .option(...JSON_OPTION)
    .action(run(() => import('./cleanup.js'), 'cleanup'));
  addForServer(
    program,
    'verify',
    'compare all blobs with their digests, and fetch again what is damaged; exit 1 while something is lost',
  )
    .option('--dry-run', 'say what is damaged or missing, and change nothing')
    .option('--rate <size>', 'the bytes that are read in a second, or unlimited (default: 50MiB)')
    .option('--batch-size <number>', 'the blobs that are looked up together (default: storage.verify.batchSize)')
    .option('--no-heal', 'fetch nothing again')
    .option(...JSON_OPTION)
    .action(run(() => import('./verify.js'), 'verify'));
  const roots = () => import('./roots.js');
  addForServer(
    program,
    'roots [repository]',
    'list the suites and folders that proxies publish as a whole, with their states',
  )
    .option(...JSON_OPTION)
    .action(run(roots, 'listRoots'));
  addForServer(
    program,
    'refresh <repository> [root]',
    'ask the upstream for a root now; exit 1 when it does not become active',
  )
    .option(...JSON_OPTION)
    .action(run(roots, 'refreshRoot'));
  const backup = () => import('./backup.js');
  add(program, 'backup <folder>', 'copy database and blobs into a folder; servers may run meanwhile')
    .option(...FILE_OPTION)
    .action(run(backup, 'backup'));
  add(program, 'restore <folder>', 'bring a backup back, where there is no database and no blob yet')
    .option(...FILE_OPTION)
    .action(run(backup, 'restoreBackup'));
  add(program, 'hold <command...>', 'run a command while nothing is deleted, such as a copy of database and bucket')
    .option(...FILE_OPTION)
    .passThroughOptions()
    .action(run(backup, 'hold'));
  add(program, 'adopt', 'let the database take over a store of blobs that belonged to another one')
    .option(...FILE_OPTION)
    .action(run(backup, 'adopt'));
  const copy = () => import('./copy.js');
  const PREPARE = ['--prepare', 'copy what there is now, beside running servers; more is to follow'] as const;
  add(program, 'copy-storage', 'move all blobs to another storage; exit 1 when some are missing')
    .argument('<from>', 'configuration with the storage of now, and its metadata')
    .argument('<to>', 'configuration with the storage of then')
    .option(...PREPARE)
    .action(run(copy, 'copyBlobs'));
  add(program, 'copy-metadata', 'move all tables to another database')
    .argument('<from>', 'configuration with the metadata of now')
    .argument('<to>', 'configuration with the metadata of then')
    .option(...PREPARE)
    .action(run(copy, 'copyTables'));
  const pins = () => import('./pins.js');
  addForServer(
    program,
    'purge <subject>',
    'remove what is kept, so that it is fetched anew: of a package URL, <repository>/<pattern>, or a request path or URL',
  )
    .option('--dry-run', 'say what would be removed, and change nothing')
    .option('--hosted', 'remove what was uploaded to hosted repositories, too')
    .option('--pinned', 'remove what is pinned, too')
    .option('--batch-size <number>', 'the entries that are removed together (default: 100)')
    .option(...BY_OPTION)
    .option(...JSON_OPTION)
    .action(run(() => import('./purge.js'), 'purge'));
  addForServer(program, 'pin <subject>', 'keep what a subject names from being evicted; subjects as for purge')
    .option('--note <text>', 'why')
    .option('--dry-run', 'say what would be pinned, and change nothing')
    .option(...BY_OPTION)
    .option(...JSON_OPTION)
    .action(run(pins, 'pin'));
  addForServer(program, 'unpin <pin>', 'remove a pin, by its id or by what it is for')
    .option('--dry-run', 'say what would be removed, and change nothing')
    .option(...JSON_OPTION)
    .action(run(pins, 'unpin'));
  addForServer(program, 'pins', 'list the pins')
    .option(...JSON_OPTION)
    .action(run(pins, 'listPins'));
  addForServer(program, 'usage [repository]', 'print how much room everything takes, or one repository')
    .option('--packages', 'the packages that take most')
    .option('--ages', 'what was last served how long ago')
    .option('--limit <number>', 'the packages that are listed (default: 20)')
    .option(...JSON_OPTION)
    .action(run(() => import('./usage.js'), 'usage'));
  addForServer(program, 'statistics [repository]', 'print what was asked for and answered, and what kept copies saved')
    .option('--by <rows>', 'day, repository, principal or package (default: day)')
    .option('--sort <column>', 'requests, downloads or bytes (default: downloads)')
    .option('--days <number>', 'the last so many days (default: 30; of --unused: 90)')
    .option('--from <day>', 'the first day, such as 2026-11-01, instead of --days')
    .option('--to <day>', 'the last day (default: today)')
    .option('--unused', 'the packages that nobody has asked for in so many days, the largest first')
    .option('--limit <number>', 'the rows that are printed (default: 20; all days)')
    .option(...JSON_OPTION)
    .action(run(() => import('./statistics.js'), 'statistics'));
}
