/* pack_dictionary.c - the preset dictionary with id 1: words that names, queries and records share.
 *
 * It is part of the protocol: changing one byte makes another dictionary, which needs another id.
 * Deflate writes near matches with fewer bits, so what is commonest stands at the end. The words
 * are written as people type and spell them: lower case as in queries, then capitals and
 * extensions as in file names. tests/unit/test_pack.c pins the SHA-256 of these bytes. */
#include "common/pack.h"

static const char dictionary[] =
    /* Subjects of works. */
    "history science mathematics philosophy psychology language english french german american "
    "christmas classical dragon "
    /* Programs and documents. */
    "windows upgrade ubuntu transport tools testing terminal template system support subtitles "
    "standard source software setup session service server security screen scripts sample runtime "
    "routing rfc resources report release reader random proxy programming program process printer "
    "plugin platform perl parser password options openssl open office notes news module model "
    "mobile "
    "media manager mail logo log linux licenses license layout keyboard kernel javascript java "
    "introduction internet interface install input index import image icon http html howto help "
    "hardware handbook graphics gnome framework fonts font format filter files file examples "
    "example "
    "error encoding editor driver drive download documents documentation document disk device "
    "developer development desktop description default debug debian database data daemon course "
    "core "
    "control content console config compiler common command client changes changelog calendar "
    "cache "
    "browser boot binary backup audio archive application api android algorithm administrator "
    "access "
    "copyright readme manual guide tutorial lecture paper thesis magazine ebook book books novel "
    /* Media. */
    "documentary trailer soundtrack original theme song songs piano violin concerto symphony "
    "sonata "
    "orchestra choir quartet major minor acoustic instrumental karaoke cover covers tribute "
    "session "
    "unplugged rock pop jazz hip hop rap country folk punk techno house trance electronic ambient "
    "radio edit extended mix remix remixes remastered bootleg anthology collection complete "
    "discography "
    "greatest hits best of album single feat. featuring various artists vol volume part disc track "
    "cd "
    "dvd rip webrip hdtv dvdrip bluray brrip web-dl h264 h265 hevc xvid x264 x265 aac ac3 dts 480p "
    "720p 2160p 1080p bluray x264 uncut director's cut extended edition episode season s01e01 "
    "s02e0 "
    "movie movies film full hd video clip show series live at in concert tv "
    /* Everyday words, the commonest last. */
    "wrong without woman women wish window which where when what were week water watch walking "
    "wait "
    "voice until under truth true town touch together today through three think things their than "
    "thank tears talk take sweet summer street strong story stop still stay stars start stand soul "
    "something somebody sometimes smile small sleep sky sister silence shine she sexy second say "
    "run "
    "running rose room road right ring rich remember red rain question power please play place "
    "party "
    "paper other once nothing nobody never need name must music mother more moon money mind "
    "million "
    "miss men maybe making lost look long lonely little line light life like letter left leave "
    "last "
    "land lady know kiss king kill just jump inside home hold high hide hello hell heart hear head "
    "hate hard happy hand half guy great good gone gold going god goes girl girls get game games "
    "fun "
    "friend friends free forever follow fly first find fight feel feeling fear father fast fall "
    "face "
    "eyes every everything everybody even ever enough end easy down door don't day days dead death "
    "dear dark crazy cool come cold close change chance call bring boys boy born blue black bitter "
    "big better between before beautiful bad baby back away around another always alone alive "
    "again "
    "after about 1970 1980 1990 1999 1998 1995 2001 2002 2003 2004 2005 2006 2007 2008 2009 2012 "
    "2015 "
    "2016 2018 2019 2020 2021 2022 2023 2024 2010 2000 who how why here there will would was has "
    "have "
    "had him her his our out over some they them then this that into only your can but are not all "
    "now new old one two man time world love with from what for you and the "
    /* Names as they stand on disks. */
    " - Copy (1) (2) IMG_ DSC_ Screenshot DJ The And Of You Love My Me In On To A Vol. Pt. CD1 CD2 "
    "Track 10 - 09 - 08 - 07 - 06 - 05 - 04 - 03 - 02 - 01 - (feat. (Live) (Remix) (Remastered) "
    "README CHANGELOG NEWS TODO LICENSE copyright changelog.Debian.gz .sh .py .c .h .js .css .xml "
    ".json .csv .doc .docx .xls .ppt .odt .ps .rtf .tex .djvu .mobi .epub .iso .exe .deb .tar.xz "
    ".tar.gz .tar.bz2 .7z .rar .zip .wav .ogg .opus .m4a .wma .flac .mp3 .srt .webm .mov .wmv .mpg "
    ".mp4 .avi .mkv .gif .svg .png .jpeg .jpg .html .md .txt .gz .pdf";

struct slice pack_dictionary(void) {
    return (struct slice){(const uint8_t *)dictionary, sizeof dictionary - 1};
}
